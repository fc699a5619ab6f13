#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "base/plot_axis.h"
#include "base/plot_colors.h"
#include "base/plot_frame.h"
#include "base/svg_canvas.h"
#include "base/svg_plot.h"
#include "base/text.h"

namespace switchyard::plot {
namespace {

constexpr double kRightMargin = 22;
constexpr double kRowHeight = 30;
constexpr double kPixelsPerTick = 90;
constexpr double kMostNameShare = 0.6;  // of the width
constexpr double kSingleOffset = 8;     // small marks stand below the line
constexpr double kValueOffset = 7;      // values above it
constexpr double kValueSize = 10.5;

bool has_line(const DotRow& row) {
  return row.low && row.high && std::isfinite(*row.low) && std::isfinite(*row.high);
}

Extent extent_of(const DotPlot& plot) {
  Extent extent(plot.x.scale);
  for (const DotRow& row : plot.rows) {
    if (!has_place(plot.x.scale, row.value)) continue;
    extent.add(row.value);
    if (has_line(row)) {
      extent.add(*row.low);
      extent.add(*row.high);
    }
    for (const double value : row.single) extent.add(value);
  }
  if (!extent.empty() && plot.reference) extent.add(*plot.reference);
  return extent;
}

void draw_row(SvgCanvas& canvas, const DotRow& row, double y, const FittedAxis& x) {
  const std::string color = hex(series_color(0));
  if (has_line(row)) {
    const Stroke stroke{.color = color, .width = 2};
    canvas.line({x.at(*row.low), y}, {x.at(*row.high), y}, stroke);
    for (const double end : {*row.low, *row.high})
      canvas.line({x.at(end), y - 4}, {x.at(end), y + 4}, stroke);
  }
  for (const double value : row.single) {
    if (!has_place(x.scale(), value)) continue;
    canvas.line({x.at(value), y + kSingleOffset - 2.5}, {x.at(value), y + kSingleOffset + 2.5},
                {.color = "#666666", .width = 1.3});
  }
  canvas.marker({x.at(row.value), y}, 0, color);
}

}  // namespace

std::string to_svg(const DotPlot& plot) {
  // The height is known only when the heading has been drawn, so it is drawn twice.
  const auto heading = [&](SvgCanvas& canvas) {
    return draw_heading(canvas, plot.width, plot.title, plot.subtitle, {}) + 4;
  };
  SvgCanvas trial(plot.width, 1, plot.title);
  const double top = heading(trial);
  const auto rows = static_cast<double>(std::max<std::size_t>(plot.rows.size(), 1));
  Area area = {.left = 0, .top = top, .right = plot.width - kRightMargin, .bottom = 0};
  area.bottom = area.top + rows * kRowHeight;
  SvgCanvas canvas(plot.width, static_cast<int>(area.bottom + kHorizontalAxisRoom), plot.title);
  heading(canvas);

  double names = 0;
  for (const DotRow& row : plot.rows) names = std::max(names, text_width(row.name, kTextSize));
  names = std::min(names, kMostNameShare * plot.width);
  area.left = 14 + names + 12;
  FittedAxis x(plot.x, extent_of(plot), Fit::nice,
               std::max(2, static_cast<int>(area.width() / kPixelsPerTick)));
  x.place(area.left, area.right);
  draw_horizontal_axis(canvas, area, x, axis_title(plot.x));
  if (extent_of(plot).empty()) {
    draw_no_data(canvas, area);
    return canvas.finish();
  }
  if (plot.reference) {
    canvas.line({x.at(*plot.reference), area.top}, {x.at(*plot.reference), area.bottom},
                {.color = "#222222", .width = 1.3, .dash = "4 3"});
  }
  for (std::size_t i = 0; i < plot.rows.size(); ++i) {
    const DotRow& row = plot.rows[i];
    const double y = area.top + (static_cast<double>(i) + 0.5) * kRowHeight;
    std::string name = row.name;
    // text_width() is linear in the number of letters, nearly.
    if (const double width = text_width(name, kTextSize); width > names) {
      name = fit_width(
          name, static_cast<std::size_t>(static_cast<double>(name.size()) * names / width) - 1);
    }
    canvas.text({area.left - 12, y + kTextSize * 0.35}, name,
                {.size = kTextSize, .anchor = Anchor::end});
    if (!has_place(plot.x.scale, row.value)) continue;
    draw_row(canvas, row, y, x);
    if (plot.show_values) {
      canvas.text({x.at(row.value), y - kValueOffset}, format_significant(row.value),
                  {.size = kValueSize, .anchor = Anchor::middle});
    }
  }
  return canvas.finish();
}

}  // namespace switchyard::plot
