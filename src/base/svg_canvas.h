// Writes SVG elements. Knows nothing about plots.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace switchyard::plot {

struct Point {
  double x = 0;
  double y = 0;
};

enum class Anchor { start, middle, end };

struct TextStyle {
  double size = 12;
  Anchor anchor = Anchor::start;
  std::string_view fill = "#333333";
  bool bold = false;
  double rotate = 0;  // degrees, clockwise, about the anchor
};

struct Stroke {
  std::string color = "#333333";
  double width = 1;
  std::string dash = {};
};

// Coordinates are pixels from the upper left corner, written with two decimals.
class SvgCanvas {
 public:
  // `title` is what screen readers say.
  SvgCanvas(int width, int height, std::string_view title);

  void line(Point from, Point to, const Stroke& stroke);
  void polyline(const std::vector<Point>& points, const Stroke& stroke);
  void polygon(const std::vector<Point>& points, std::string_view fill, double opacity);
  // Edges fall on whole pixels, so that neighbouring cells have no seams.
  void cell(Point corner, double width, double height, std::string_view fill);
  void rectangle(Point corner, double width, double height, std::string_view fill);
  void frame(Point corner, double width, double height, const Stroke& stroke);
  void text(Point at, std::string_view content, const TextStyle& style);
  // A mark about 7 pixels across; the shape depends on `shape` modulo 6.
  void marker(Point at, std::size_t shape, std::string_view fill);

  // What is drawn until end_clip() shows only within the rectangle. Coordinates stay those of the
  // canvas.
  void begin_clip(Point corner, double width, double height);
  void end_clip();

  // The document. The canvas is empty afterwards.
  std::string finish();

 private:
  std::string out_;
};

// Width in pixels of text in a Helvetica-like font, to about a tenth; rather too much than too
// little.
double text_width(std::string_view text, double size);

}  // namespace switchyard::plot
