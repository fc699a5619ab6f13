#include "base/plot_colors.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <numbers>

namespace switchyard::plot {
namespace {

constexpr std::array<Color, kSeriesColors> kSeries = {{
    {0x00, 0x72, 0xb2},  // blue
    {0xd5, 0x5e, 0x00},  // vermilion
    {0x00, 0x9e, 0x73},  // bluish green
    {0xcc, 0x79, 0xa7},  // reddish purple
    {0xe6, 0x9f, 0x00},  // orange
    {0x56, 0xb4, 0xe9},  // sky blue
    {0x33, 0x33, 0x33},  // almost black
}};

using Linear = std::array<double, 3>;  // red, green, blue in proportion to light

// OKLab to linear sRGB, with the matrices of its author.
Linear from_oklab(double l, double a, double b) {
  const auto cube = [](double x) { return x * x * x; };
  const double long_cone = cube(l + 0.3963377774 * a + 0.2158037573 * b);
  const double middle_cone = cube(l - 0.1055613458 * a - 0.0638541728 * b);
  const double short_cone = cube(l - 0.0894841775 * a - 1.2914855480 * b);
  return {4.0767416621 * long_cone - 3.3077115913 * middle_cone + 0.2309699292 * short_cone,
          -1.2684380046 * long_cone + 2.6097574011 * middle_cone - 0.3413193965 * short_cone,
          -0.0041960863 * long_cone - 0.7034186147 * middle_cone + 1.7076147010 * short_cone};
}

std::uint8_t encode(double linear) {
  const double x = std::clamp(linear, 0.0, 1.0);
  const double encoded = x <= 0.0031308 ? 12.92 * x : 1.055 * std::pow(x, 1 / 2.4) - 0.055;
  return static_cast<std::uint8_t>(std::lround(encoded * 255));
}

double decode(std::uint8_t encoded) {
  const double x = encoded / 255.0;
  return x <= 0.04045 ? x / 12.92 : std::pow((x + 0.055) / 1.055, 2.4);
}

}  // namespace

std::string hex(Color color) {
  return fmt::format("#{:02x}{:02x}{:02x}", color.red, color.green, color.blue);
}

Color series_color(std::size_t index) { return kSeries[index % kSeries.size()]; }

Color map_color(double share) {
  const double t = std::clamp(share, 0.0, 1.0);
  const double l = 0.26 + 0.67 * t;
  const double hue = (305 - 203 * t) * std::numbers::pi / 180;
  // A parabola just below what screens can show along this path (least for the blue greens in the
  // middle): clamping would put visible edges into the map.
  const double chroma = 0.095 + 0.22 * (t - 0.43) * (t - 0.43);
  const Linear rgb = from_oklab(l, chroma * std::cos(hue), chroma * std::sin(hue));
  return {encode(rgb[0]), encode(rgb[1]), encode(rgb[2])};
}

double lightness(Color color) {
  const double r = decode(color.red);
  const double g = decode(color.green);
  const double b = decode(color.blue);
  const double long_cone = std::cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const double middle_cone = std::cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const double short_cone = std::cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return 0.2104542553 * long_cone + 0.7936177850 * middle_cone - 0.0040720468 * short_cone;
}

}  // namespace switchyard::plot
