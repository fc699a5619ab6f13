#include "base/svg_canvas.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <utility>

#include "base/check.h"
#include "base/text.h"

namespace switchyard::plot {
namespace {

constexpr std::string_view kFonts =
    "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";
constexpr double kMarkerRadius = 3.4;

std::string number(double value) {
  SWITCHYARD_CHECK(std::isfinite(value));
  std::string text = fmt::format("{:.2f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string path_of(const std::vector<Point>& points) {
  std::string list;
  for (const Point& point : points) {
    if (!list.empty()) list += ' ';
    list += number(point.x) + "," + number(point.y);
  }
  return list;
}

std::string attributes(const Stroke& stroke) {
  std::string text =
      fmt::format(R"( stroke="{}" stroke-width="{}")", stroke.color, number(stroke.width));
  if (!stroke.dash.empty()) text += fmt::format(R"( stroke-dasharray="{}")", stroke.dash);
  return text;
}

std::string box(Point corner, double width, double height) {
  return fmt::format(R"(x="{}" y="{}" width="{}" height="{}")", number(corner.x), number(corner.y),
                     number(std::max(width, 0.0)), number(std::max(height, 0.0)));
}

// Outlines of markers in units of their radius; the circle is drawn as such.
const std::vector<Point>& marker_outline(std::size_t shape) {
  static const std::array<std::vector<Point>, 5> kOutlines = {{
      {{-0.9, -0.9}, {0.9, -0.9}, {0.9, 0.9}, {-0.9, 0.9}},  // square
      {{0, -1.25}, {1.15, 0.85}, {-1.15, 0.85}},             // triangle
      {{0, -1.3}, {1.3, 0}, {0, 1.3}, {-1.3, 0}},            // diamond
      {{0, 1.25}, {1.15, -0.85}, {-1.15, -0.85}},            // triangle, point down
      {{-0.45, -1.2},
       {0.45, -1.2},
       {0.45, -0.45},
       {1.2, -0.45},
       {1.2, 0.45},
       {0.45, 0.45},
       {0.45, 1.2},
       {-0.45, 1.2},
       {-0.45, 0.45},
       {-1.2, 0.45},
       {-1.2, -0.45},
       {-0.45, -0.45}},  // plus
  }};
  return kOutlines[shape];
}

}  // namespace

SvgCanvas::SvgCanvas(int width, int height, std::string_view title) {
  SWITCHYARD_CHECK(width > 0 && height > 0);
  out_ = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}" role="img" font-family="{2}">)"
      "\n<title>{3}</title>\n",
      width, height, kFonts, escape_markup(title));
  rectangle({0, 0}, width, height, "#ffffff");
}

void SvgCanvas::line(Point from, Point to, const Stroke& stroke) {
  out_ += fmt::format(R"(<line x1="{}" y1="{}" x2="{}" y2="{}"{}/>)", number(from.x),
                      number(from.y), number(to.x), number(to.y), attributes(stroke)) +
          "\n";
}

void SvgCanvas::polyline(const std::vector<Point>& points, const Stroke& stroke) {
  out_ += fmt::format(
      R"(<polyline points="{}" fill="none"{} stroke-linejoin="round" stroke-linecap="round"/>)",
      path_of(points), attributes(stroke));
  out_ += "\n";
}

void SvgCanvas::polygon(const std::vector<Point>& points, std::string_view fill, double opacity) {
  out_ += fmt::format(R"(<polygon points="{}" fill="{}" fill-opacity="{}"/>)", path_of(points),
                      fill, number(opacity));
  out_ += "\n";
}

void SvgCanvas::cell(Point corner, double width, double height, std::string_view fill) {
  const Point begin{std::round(corner.x), std::round(corner.y)};
  rectangle(begin, std::round(corner.x + width) - begin.x, std::round(corner.y + height) - begin.y,
            fill);
}

void SvgCanvas::rectangle(Point corner, double width, double height, std::string_view fill) {
  out_ += fmt::format("<rect {} fill=\"{}\"/>\n", box(corner, width, height), fill);
}

void SvgCanvas::frame(Point corner, double width, double height, const Stroke& stroke) {
  out_ +=
      fmt::format("<rect {} fill=\"none\"{}/>\n", box(corner, width, height), attributes(stroke));
}

void SvgCanvas::text(Point at, std::string_view content, const TextStyle& style) {
  if (content.empty()) return;
  static constexpr std::array<std::string_view, 3> kAnchors = {"start", "middle", "end"};
  out_ += fmt::format(R"(<text x="{}" y="{}" font-size="{}" fill="{}")", number(at.x), number(at.y),
                      number(style.size), style.fill);
  if (style.anchor != Anchor::start) {
    out_ += fmt::format(R"( text-anchor="{}")", kAnchors[static_cast<std::size_t>(style.anchor)]);
  }
  if (style.bold) out_ += R"( font-weight="bold")";
  if (style.rotate != 0) {
    out_ += fmt::format(R"x( transform="rotate({} {} {})")x", number(style.rotate), number(at.x),
                        number(at.y));
  }
  out_ += ">" + escape_markup(content) + "</text>\n";
}

void SvgCanvas::marker(Point at, std::size_t shape, std::string_view fill) {
  constexpr std::string_view kOutline = R"(stroke="#ffffff" stroke-width="0.8")";
  const std::size_t kind = shape % 6;
  if (kind == 0) {
    out_ += fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{}\" {}/>\n", number(at.x),
                        number(at.y), number(kMarkerRadius), fill, kOutline);
    return;
  }
  std::vector<Point> points = marker_outline(kind - 1);
  for (Point& point : points)
    point = {at.x + kMarkerRadius * point.x, at.y + kMarkerRadius * point.y};
  out_ += fmt::format("<polygon points=\"{}\" fill=\"{}\" {}/>\n", path_of(points), fill, kOutline);
}

void SvgCanvas::begin_clip(Point corner, double width, double height) {
  // A nested document clips without an id, so several plots can stand in one page.
  out_ += fmt::format(R"(<svg {} viewBox="{} {} {} {}" preserveAspectRatio="none">)",
                      box(corner, width, height), number(corner.x), number(corner.y), number(width),
                      number(height));
  out_ += "\n";
}

void SvgCanvas::end_clip() { out_ += "</svg>\n"; }

std::string SvgCanvas::finish() { return std::exchange(out_, {}) + "</svg>\n"; }

double text_width(std::string_view text, double size) {
  double ems = 0;
  while (!text.empty()) {
    const char32_t c = take_code_point(text);
    if (c < 0x80) {
      const char byte = static_cast<char>(c);
      constexpr std::string_view kNarrow = " !'(),./:;[]ijlft|I";
      constexpr std::string_view kWide = "mwMW%@";
      if (kNarrow.find(byte) != std::string_view::npos) {
        ems += 0.29;
      } else if (kWide.find(byte) != std::string_view::npos) {
        ems += 0.87;
      } else {
        ems += byte >= 'A' && byte <= 'Z' ? 0.69 : 0.56;
      }
    } else {
      ems += c >= 0x2e80                   ? 1.0
             : (c >= 0x0300 && c < 0x0370) ? 0.0
             : (c >= 0x2070 && c < 0x209f) ? 0.38
                                           : 0.58;
    }
  }
  // Where Helvetica is missing, its substitute may be a wider font.
  return ems * size * 1.1;
}

}  // namespace switchyard::plot
