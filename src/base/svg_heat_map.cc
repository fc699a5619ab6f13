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

constexpr double kMargin = 14;
constexpr double kBarWidth = 14;
constexpr double kBarGap = 18;  // between map and colour bar
constexpr int kBarSteps = 128;
constexpr std::string_view kNoValue = "#eeeeee";
constexpr double kValueSize = 10.5;

std::vector<std::string> names_or_numbers(const std::vector<std::string>& names,
                                          std::size_t count) {
  SWITCHYARD_CHECK(names.empty() || names.size() == count);
  if (!names.empty()) return names;
  std::vector<std::string> numbers;
  for (std::size_t i = 0; i < count; ++i) numbers.push_back(std::to_string(i));
  return numbers;
}

void draw_row_names(SvgCanvas& canvas, const Area& area, const std::vector<std::string>& names,
                    const std::string& title) {
  const double slot = area.height() / static_cast<double>(std::max<std::size_t>(names.size(), 1));
  const std::size_t stride = doubling_stride(kTextSize + 2, slot, names.size());
  for (std::size_t i = 0; i < names.size(); i += stride) {
    const double y = area.top + (static_cast<double>(i) + 0.5) * slot;
    canvas.text({area.left - 6, y + kTextSize * 0.35}, names[i],
                {.size = kTextSize, .anchor = Anchor::end});
  }
  canvas.text({kMargin + kTextSize * 0.8, (area.top + area.bottom) / 2}, title,
              {.size = kTextSize + 1, .anchor = Anchor::middle, .rotate = -90});
}

void draw_color_bar(SvgCanvas& canvas, const Area& area, FittedAxis& axis,
                    const std::string& title) {
  const double left = area.right + kBarGap;
  axis.place(area.bottom, area.top);
  const double step = area.height() / kBarSteps;
  for (int i = 0; i < kBarSteps; ++i) {
    canvas.cell({left, area.bottom - (i + 1) * step}, kBarWidth, step,
                hex(map_color((i + 0.5) / kBarSteps)));
  }
  double widest = 0;
  for (const Tick& tick : axis.ticks()) {
    if (tick.label.empty()) continue;
    const double y = axis.at(tick.value);
    canvas.line({left + kBarWidth, y}, {left + kBarWidth + 4, y}, {.color = "#555555"});
    canvas.text({left + kBarWidth + 7, y + kTextSize * 0.35}, tick.label, {.size = kTextSize});
    widest = std::max(widest, text_width(tick.label, kTextSize));
  }
  canvas.text({left + kBarWidth + 7 + widest + kTextSize + 5, (area.top + area.bottom) / 2}, title,
              {.size = kTextSize + 1, .anchor = Anchor::middle, .rotate = -90});
}

double color_bar_room(const FittedAxis& axis, const std::string& title) {
  double widest = 0;
  for (const Tick& tick : axis.ticks())
    widest = std::max(widest, text_width(tick.label, kTextSize));
  return kBarGap + kBarWidth + 7 + widest + (title.empty() ? 0 : kTextSize + 10) + kMargin;
}

void draw_cells(SvgCanvas& canvas, const Area& area, const HeatMap& map, const FittedAxis& axis) {
  const double width = area.width() / static_cast<double>(map.columns);
  const double height = area.height() / static_cast<double>(map.rows);
  for (std::size_t row = 0; row < map.rows; ++row) {
    for (std::size_t column = 0; column < map.columns; ++column) {
      const double value = map.values[row * map.columns + column];
      const Point corner{area.left + static_cast<double>(column) * width,
                         area.top + static_cast<double>(row) * height};
      const bool shown = has_place(axis.scale(), value);
      const Color color = shown ? map_color(axis.share(value)) : Color{};
      canvas.cell(corner, width, height, shown ? hex(color) : std::string(kNoValue));
      if (!map.show_values || !shown || height < kValueSize + 3) continue;
      const std::string label = format_significant(value);
      if (text_width(label, kValueSize) > width - 4) continue;
      canvas.text({corner.x + width / 2, corner.y + height / 2 + kValueSize * 0.35}, label,
                  {.size = kValueSize,
                   .anchor = Anchor::middle,
                   .fill = lightness(color) > 0.62 ? "#111111" : "#ffffff"});
    }
  }
}

}  // namespace

std::string to_svg(const HeatMap& map) {
  SWITCHYARD_CHECK(map.values.size() == map.rows * map.columns);
  std::vector<std::string> rows = names_or_numbers(map.row_names, map.rows);
  for (std::string& name : rows) name = fit_width(name, 28);
  const std::vector<std::string> columns = names_or_numbers(map.column_names, map.columns);

  SvgCanvas canvas(map.width, map.height, map.title);
  Area area;
  area.top = draw_heading(canvas, map.width, map.title, map.subtitle, {});
  Extent data(map.value.scale);
  for (const double value : map.values) data.add(value);
  FittedAxis axis(map.value, data, Fit::tight,
                  std::max(2, static_cast<int>((map.height - area.top) / 60)));

  double widest = 0;
  for (const std::string& name : rows) widest = std::max(widest, text_width(name, kTextSize));
  area.left = kMargin + widest + 8 + (map.y_label.empty() ? 0 : kTextSize + 8);
  area.right = std::max(map.width - color_bar_room(axis, axis_title(map.value)), area.left + 20);
  const double slot = area.width() / static_cast<double>(std::max<std::size_t>(map.columns, 1));
  const CategoryLayout layout = lay_out_categories(columns, slot, !map.x_label.empty());
  area.bottom = std::max(map.height - layout.room - 8, area.top + 20);

  if (data.empty()) {
    canvas.rectangle({area.left, area.top}, area.width(), area.height(), kNoValue);
    draw_no_data(canvas, area);
  } else {
    draw_cells(canvas, area, map, axis);
    draw_color_bar(canvas, area, axis, axis_title(map.value));
  }
  draw_categories(canvas, area, layout, map.x_label);
  draw_row_names(canvas, area, rows, map.y_label);
  return canvas.finish();
}

}  // namespace switchyard::plot
