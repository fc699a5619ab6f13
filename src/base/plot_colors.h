// Colours that do not need perfect eyes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace switchyard::plot {

struct Color {
  std::uint8_t red = 0;
  std::uint8_t green = 0;
  std::uint8_t blue = 0;
  bool operator==(const Color&) const = default;
};

// "#0072b2"
std::string hex(Color color);

// The n-th series: the set of Okabe and Ito (2008) without its yellow, which is too pale on white.
// Repeats after 7; what repeats differs by dash and marker.
Color series_color(std::size_t index);
inline constexpr std::size_t kSeriesColors = 7;

// From dark violet (0) over teal to light yellow (1). A path through the OKLCH space (Ottosson,
// 2020) whose lightness rises evenly, so equal differences in value look like equal differences, in
// grey as well. `share` is clamped to [0, 1].
Color map_color(double share);

// Lightness in OKLab, 0 black to 1 white.
double lightness(Color color);

}  // namespace switchyard::plot
