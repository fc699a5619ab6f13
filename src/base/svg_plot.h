// Plots for papers and pages, as SVG text: line plot, bar chart, dot plot, heat map.
//
//   plot::LinePlot loss{.title = "Training loss", .x = {.label = "step"}, .y = {.label = "loss",
//   .unit = "nats/token"}}; loss.series.push_back({.name = "top-2", .x = steps, .y = losses, .low =
//   lowest, .high = highest}); write_file_atomically(fs, "loss.svg", plot::to_svg(loss));
//
// The same plot gives the same bytes. Colours can be told apart by colour-blind readers (Okabe and
// Ito's set; the colour map of heat maps is even in perceived lightness), and series differ in
// marker and dash as well, for print in grey. Text is escaped. Values that are not finite, or not
// positive on a logarithmic axis, are left out: a line has a gap, a heat map a pale cell. A plot
// without values is drawn with its axes and the words "no data". Mistakes of the caller (vectors of
// different lengths) are internal errors.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace switchyard::plot {

enum class Scale { linear, logarithmic };

struct Axis {
  std::string label = {};
  std::string unit = {};  // shown behind the label: "latency (ms)"
  Scale scale = Scale::linear;
  // Ends of the axis; left out, they follow from the data. What lies outside is cut off.
  std::optional<double> min = {};
  std::optional<double> max = {};
};

enum class LineStyle { line, markers, line_and_markers };

struct Series {
  std::string name = {};  // in the legend; empty: no entry
  std::vector<double> x = {};
  std::vector<double> y = {};  // as many as x
  // A band around the line, e.g. a confidence interval; both empty or both as many as x.
  std::vector<double> low = {};
  std::vector<double> high = {};
  LineStyle style = LineStyle::line;
  std::vector<std::string> labels = {};  // beside the points; empty or as many as x
};

struct LinePlot {
  std::string title = {};
  std::string subtitle = {};
  Axis x = {};
  Axis y = {};
  std::vector<Series> series = {};
  int width = 640;  // pixels at 96 dpi
  int height = 400;
};

// One bar in each category.
struct BarSeries {
  std::string name = {};
  std::vector<double> values = {};  // one a category
  // Ends of the error bars; both empty or one a category each.
  std::vector<double> low = {};
  std::vector<double> high = {};
};

// Bars start at zero, so the value axis is linear and always shows zero.
struct BarChart {
  std::string title = {};
  std::string subtitle = {};
  std::string x_label = {};
  std::vector<std::string> categories = {};
  Axis y = {};
  std::vector<BarSeries> series = {};
  bool show_values = false;  // the value above each bar, where there is room
  int width = 640;
  int height = 400;
};

// A row of a dot plot: a value with an interval or range, and what it was made from.
struct DotRow {
  std::string name = {};
  double value = 0;
  // Ends of the line through the value; left out: no line.
  std::optional<double> low = {};
  std::optional<double> high = {};
  std::vector<double> single = {};  // small marks beside the value, e.g. one a seed
};

// Values to be told apart by their differences: unlike bars, the axis need not show zero.
struct DotPlot {
  std::string title = {};
  std::string subtitle = {};
  Axis x = {};
  std::vector<DotRow> rows = {};         // the first is at the top
  std::optional<double> reference = {};  // a vertical line, always within the axis
  bool show_values = false;              // the value above each mark
  int width = 640;                       // the height follows from the rows
};

struct HeatMap {
  std::string title = {};
  std::string subtitle = {};
  std::string x_label = {};
  std::string y_label = {};
  std::size_t rows = 0;  // the first is at the top
  std::size_t columns = 0;
  std::vector<double> values = {};  // [rows * columns], row by row
  // Names of rows and columns; empty: their numbers from 0.
  std::vector<std::string> row_names = {};
  std::vector<std::string> column_names = {};
  Axis value = {};           // the colour bar
  bool show_values = false;  // the value in each cell, where there is room
  int width = 640;
  int height = 400;
};

std::string to_svg(const LinePlot& plot);
std::string to_svg(const BarChart& chart);
std::string to_svg(const DotPlot& plot);
std::string to_svg(const HeatMap& map);

}  // namespace switchyard::plot
