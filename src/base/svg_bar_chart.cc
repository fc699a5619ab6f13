#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/plot_axis.h"
#include "base/plot_colors.h"
#include "base/plot_frame.h"
#include "base/svg_canvas.h"
#include "base/svg_plot.h"
#include "base/text.h"

namespace switchyard::plot {
namespace {

constexpr double kRightMargin = 20;
constexpr double kPixelsPerTick = 48;
constexpr double kGroupShare = 0.78;  // of a category's slot that its bars take
constexpr double kWidestBar = 56;
constexpr double kValueSize = 10.5;

void check(const BarChart& chart) {
  for (const BarSeries& series : chart.series) {
    SWITCHYARD_CHECK(series.values.size() == chart.categories.size());
    SWITCHYARD_CHECK(series.low.size() == series.high.size());
    SWITCHYARD_CHECK(series.low.empty() || series.low.size() == series.values.size());
  }
}

bool has_error_bar(const BarSeries& series, std::size_t i) {
  return !series.low.empty() && std::isfinite(series.low[i]) && std::isfinite(series.high[i]);
}

// Empty if no bar can be drawn; else it includes zero.
Extent extent_of(const BarChart& chart) {
  Extent extent(Scale::linear);
  for (const BarSeries& series : chart.series) {
    for (std::size_t i = 0; i < series.values.size(); ++i) {
      if (!std::isfinite(series.values[i])) continue;
      extent.add(0);
      extent.add(series.values[i]);
      if (!has_error_bar(series, i)) continue;
      extent.add(series.low[i]);
      extent.add(series.high[i]);
    }
  }
  return extent;
}

void draw_error_bar(SvgCanvas& canvas, double x, double low, double high, double cap) {
  const Stroke stroke{.color = "#222222", .width = 1.3};
  canvas.line({x, low}, {x, high}, stroke);
  canvas.line({x - cap, low}, {x + cap, low}, stroke);
  canvas.line({x - cap, high}, {x + cap, high}, stroke);
}

void draw_value(SvgCanvas& canvas, const BarSeries& series, std::size_t i, double x, double room,
                const FittedAxis& y) {
  const double value = series.values[i];
  const std::string label = format_significant(value);
  if (text_width(label, kValueSize) > room) return;
  double end = value;
  if (has_error_bar(series, i)) {
    end = value < 0 ? std::min(value, series.low[i]) : std::max(value, series.high[i]);
  }
  canvas.text({x, value < 0 ? y.at(end) + kValueSize + 3 : y.at(end) - 4}, label,
              {.size = kValueSize, .anchor = Anchor::middle});
}

}  // namespace

std::string to_svg(const BarChart& chart) {
  check(chart);
  std::vector<LegendEntry> legend;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    legend.push_back({.name = chart.series[i].name, .index = i, .line = false, .marker = false});
  }
  SvgCanvas canvas(chart.width, chart.height, chart.title);
  Area area;
  area.top = draw_heading(canvas, chart.width, chart.title, chart.subtitle, legend) + 4;
  area.right = chart.width - kRightMargin;

  Axis axis = chart.y;
  axis.scale = Scale::linear;
  if (axis.min) axis.min = std::min(*axis.min, 0.0);
  if (axis.max) axis.max = std::max(*axis.max, 0.0);
  const Extent data = extent_of(chart);
  const auto categories = static_cast<double>(std::max<std::size_t>(chart.categories.size(), 1));
  FittedAxis y(axis, data, Fit::nice,
               static_cast<int>((chart.height - area.top - 40) / kPixelsPerTick));
  area.left = vertical_axis_room(y, axis_title(axis));
  const double slot = area.width() / categories;
  const CategoryLayout layout = lay_out_categories(chart.categories, slot, !chart.x_label.empty());
  area.bottom = std::max(chart.height - layout.room - 8, area.top + 20);
  y.place(area.bottom, area.top);
  draw_vertical_axis(canvas, area, y, axis_title(axis));
  draw_categories(canvas, area, layout, chart.x_label);
  if (data.empty()) {
    draw_no_data(canvas, area);
    return canvas.finish();
  }

  const auto bars = static_cast<double>(chart.series.size());
  const double width = std::min(kGroupShare * slot / bars, kWidestBar);
  canvas.begin_clip({area.left, area.top - 14}, area.width(), area.height() + 28);
  for (std::size_t i = 0; i < chart.categories.size(); ++i) {
    const double group = area.left + (static_cast<double>(i) + 0.5) * slot - bars * width / 2;
    for (std::size_t s = 0; s < chart.series.size(); ++s) {
      const BarSeries& series = chart.series[s];
      if (!std::isfinite(series.values[i])) continue;
      const double left = group + static_cast<double>(s) * width;
      const double top = std::min(y.at(series.values[i]), y.at(0));
      const double bottom = std::max(y.at(series.values[i]), y.at(0));
      // A hair of white between neighbours.
      const double gap = width > 6 ? 0.75 : 0;
      canvas.rectangle({left + gap, top}, width - 2 * gap, bottom - top, hex(series_color(s)));
      const double middle = left + width / 2;
      if (has_error_bar(series, i)) {
        draw_error_bar(canvas, middle, y.at(series.low[i]), y.at(series.high[i]),
                       std::min(width / 4, 5.0));
      }
      if (chart.show_values) draw_value(canvas, series, i, middle, width + 4, y);
    }
  }
  canvas.end_clip();
  canvas.line({area.left, y.at(0)}, {area.right, y.at(0)}, {.color = "#555555"});
  return canvas.finish();
}

}  // namespace switchyard::plot
