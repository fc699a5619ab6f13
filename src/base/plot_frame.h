// What line plots and bar charts share: title, legend, axes and grid around a plotting area.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/plot_axis.h"
#include "base/svg_canvas.h"

namespace switchyard::plot {

inline constexpr double kTextSize = 12;
inline constexpr double kTitleSize = 15;

// The plotting area in pixels.
struct Area {
  double left = 0;
  double top = 0;
  double right = 0;
  double bottom = 0;
  double width() const { return right - left; }
  double height() const { return bottom - top; }
};

struct LegendEntry {
  std::string name = {};
  std::size_t index = 0;  // of the series: colour, dash and marker
  bool line = true;
  bool marker = false;  // neither: a filled square
};

// Draws title, subtitle and legend in the given width and returns the y below them.
double draw_heading(SvgCanvas& canvas, double width, const std::string& title,
                    const std::string& subtitle, const std::vector<LegendEntry>& legend);

// Room to the left of the area for tick labels and title of a vertical axis.
double vertical_axis_room(const FittedAxis& axis, const std::string& title);

// Grid lines, ticks, labels and title. The axis must have been placed.
void draw_vertical_axis(SvgCanvas& canvas, const Area& area, const FittedAxis& axis,
                        const std::string& title);
void draw_horizontal_axis(SvgCanvas& canvas, const Area& area, const FittedAxis& axis,
                          const std::string& title);
inline constexpr double kHorizontalAxisRoom = 48;  // below the area, with a title

// Every how many of `count` names that need `needed` pixels each are shown in slots of `slot`
// pixels: 1, 2, 4 ..., as experts and layers come in powers of two.
std::size_t doubling_stride(double needed, double slot, std::size_t count);

// Names under equal slots, slanted when they are too wide, thinned out when there are too many.
struct CategoryLayout {
  std::vector<std::string> labels = {};  // shortened
  bool slanted = false;
  std::size_t stride = 1;  // every how many are shown
  double room = 0;         // pixels below the area
};
CategoryLayout lay_out_categories(const std::vector<std::string>& names, double slot, bool title);
void draw_categories(SvgCanvas& canvas, const Area& area, const CategoryLayout& layout,
                     const std::string& title);

void draw_no_data(SvgCanvas& canvas, const Area& area);

// The dash of the n-th series; the first seven lines are solid.
std::string series_dash(std::size_t index);

}  // namespace switchyard::plot
