#include "base/plot_frame.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "base/plot_colors.h"
#include "base/text.h"

namespace switchyard::plot {
namespace {

constexpr double kMargin = 14;
constexpr double kLineSample = 24;  // pixels of a legend's sample
constexpr double kSymbolSample = 11;
constexpr double kLegendGap = 18;
constexpr double kLegendLine = 19;
constexpr double kTickLength = 4;
constexpr double kMinorTickLength = 2.5;
constexpr double kSlant = 35;  // degrees
constexpr std::size_t kLongestName = 28;
const Stroke kGrid{.color = "#e4e4e4"};
const Stroke kAxisLine{.color = "#555555"};

double widest(const std::vector<std::string>& texts, double size) {
  double width = 0;
  for (const std::string& text : texts) width = std::max(width, text_width(text, size));
  return width;
}

double sample_width(const LegendEntry& entry) { return entry.line ? kLineSample : kSymbolSample; }

void draw_sample(SvgCanvas& canvas, Point at, const LegendEntry& entry) {
  const std::string color = hex(series_color(entry.index));
  const double width = sample_width(entry);
  if (!entry.line && !entry.marker) {
    canvas.rectangle({at.x, at.y - width / 2}, width, width, color);
    return;
  }
  if (entry.line) {
    canvas.line(at, {at.x + width, at.y},
                {.color = color, .width = 2, .dash = series_dash(entry.index)});
  }
  if (entry.marker) canvas.marker({at.x + width / 2, at.y}, entry.index, color);
}

}  // namespace

std::string series_dash(std::size_t index) {
  static constexpr std::array<std::string_view, 3> kDashes = {"", "7 4", "2 4"};
  return std::string(kDashes[index / kSeriesColors % kDashes.size()]);
}

double draw_heading(SvgCanvas& canvas, double width, const std::string& title,
                    const std::string& subtitle, const std::vector<LegendEntry>& legend) {
  double y = 10;
  if (!title.empty()) {
    y += 16;
    canvas.text({kMargin, y}, title, {.size = kTitleSize, .fill = "#111111", .bold = true});
  }
  if (!subtitle.empty()) {
    y += 18;
    canvas.text({kMargin, y}, subtitle, {.size = kTextSize, .fill = "#666666"});
  }
  y += 12;
  double x = kMargin;
  bool row_open = false;
  for (const LegendEntry& entry : legend) {
    if (entry.name.empty()) continue;
    const std::string name = fit_width(entry.name, 60);
    const double needed = sample_width(entry) + 6 + text_width(name, kTextSize);
    if (row_open && x + needed > width - kMargin) {
      x = kMargin;
      y += kLegendLine;
    }
    draw_sample(canvas, {x, y + 5}, entry);
    canvas.text({x + sample_width(entry) + 6, y + 9}, name, {.size = kTextSize});
    x += needed + kLegendGap;
    row_open = true;
  }
  return y + (row_open ? kLegendLine + 5 : 0);
}

double vertical_axis_room(const FittedAxis& axis, const std::string& title) {
  double labels = 0;
  for (const Tick& tick : axis.ticks())
    labels = std::max(labels, text_width(tick.label, kTextSize));
  return kMargin + labels + kTickLength + 5 + (title.empty() ? 0 : kTextSize + 8);
}

void draw_vertical_axis(SvgCanvas& canvas, const Area& area, const FittedAxis& axis,
                        const std::string& title) {
  for (const Tick& tick : axis.ticks()) {
    const double y = axis.at(tick.value);
    if (tick.label.empty()) {
      canvas.line({area.left - kMinorTickLength, y}, {area.left, y}, kAxisLine);
      continue;
    }
    canvas.line({area.left, y}, {area.right, y}, kGrid);
    canvas.line({area.left - kTickLength, y}, {area.left, y}, kAxisLine);
    canvas.text({area.left - kTickLength - 4, y + kTextSize * 0.35}, tick.label,
                {.size = kTextSize, .anchor = Anchor::end});
  }
  canvas.line({area.left, area.top}, {area.left, area.bottom}, kAxisLine);
  canvas.text({kMargin + kTextSize * 0.8, (area.top + area.bottom) / 2}, title,
              {.size = kTextSize + 1, .anchor = Anchor::middle, .rotate = -90});
}

void draw_horizontal_axis(SvgCanvas& canvas, const Area& area, const FittedAxis& axis,
                          const std::string& title) {
  for (const Tick& tick : axis.ticks()) {
    const double x = axis.at(tick.value);
    if (tick.label.empty()) {
      canvas.line({x, area.bottom}, {x, area.bottom + kMinorTickLength}, kAxisLine);
      continue;
    }
    canvas.line({x, area.top}, {x, area.bottom}, kGrid);
    canvas.line({x, area.bottom}, {x, area.bottom + kTickLength}, kAxisLine);
    canvas.text({x, area.bottom + kTickLength + kTextSize + 1}, tick.label,
                {.size = kTextSize, .anchor = Anchor::middle});
  }
  canvas.line({area.left, area.bottom}, {area.right, area.bottom}, kAxisLine);
  canvas.text({(area.left + area.right) / 2, area.bottom + 37}, title,
              {.size = kTextSize + 1, .anchor = Anchor::middle});
}

std::size_t doubling_stride(double needed, double slot, std::size_t count) {
  std::size_t stride = 1;
  while (static_cast<double>(stride) * slot < needed && stride < count) stride *= 2;
  return stride;
}

CategoryLayout lay_out_categories(const std::vector<std::string>& names, double slot, bool title) {
  CategoryLayout layout;
  for (const std::string& name : names) layout.labels.push_back(fit_width(name, kLongestName));
  const double width = widest(layout.labels, kTextSize);
  // Short names (numbers) are thinned out rather than slanted.
  layout.slanted = width > slot - 6 && width > 36;
  const double needed = layout.slanted ? kTextSize + 3 : width + 6;
  layout.stride = doubling_stride(needed, slot, names.size());
  const double height =
      layout.slanted ? width * std::sin(kSlant * std::numbers::pi / 180) + 10 : kTextSize;
  layout.room = height + 12 + (title ? kTextSize + 10 : 0);
  return layout;
}

void draw_categories(SvgCanvas& canvas, const Area& area, const CategoryLayout& layout,
                     const std::string& title) {
  const double slot =
      area.width() / static_cast<double>(std::max<std::size_t>(layout.labels.size(), 1));
  for (std::size_t i = 0; i < layout.labels.size(); i += layout.stride) {
    const double x = area.left + (static_cast<double>(i) + 0.5) * slot;
    if (layout.slanted) {
      canvas.text({x + 4, area.bottom + 14}, layout.labels[i],
                  {.size = kTextSize, .anchor = Anchor::end, .rotate = -kSlant});
    } else {
      canvas.text({x, area.bottom + kTextSize + 5}, layout.labels[i],
                  {.size = kTextSize, .anchor = Anchor::middle});
    }
  }
  canvas.text({(area.left + area.right) / 2, area.bottom + layout.room - 3}, title,
              {.size = kTextSize + 1, .anchor = Anchor::middle});
}

void draw_no_data(SvgCanvas& canvas, const Area& area) {
  canvas.text({(area.left + area.right) / 2, (area.top + area.bottom) / 2}, "no data",
              {.size = kTextSize + 2, .anchor = Anchor::middle, .fill = "#888888"});
}

}  // namespace switchyard::plot
