#include "base/plot_colors.h"

#include <cmath>
#include <gtest/gtest.h>

namespace switchyard::plot {
namespace {

TEST(Colors, Hex) {
  EXPECT_EQ(hex({0, 114, 178}), "#0072b2");
  EXPECT_EQ(hex({255, 255, 255}), "#ffffff");
}

TEST(Colors, LightnessOfKnownColors) {
  EXPECT_NEAR(lightness({0, 0, 0}), 0, 1e-6);
  EXPECT_NEAR(lightness({255, 255, 255}), 1, 1e-3);
  EXPECT_NEAR(lightness({255, 0, 0}), 0.628, 1e-3);
}

TEST(Colors, SeriesDiffer) {
  for (std::size_t i = 0; i < kSeriesColors; ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_FALSE(series_color(i) == series_color(j));
  }
  EXPECT_EQ(series_color(0), series_color(kSeriesColors));
}

TEST(ColorMap, LightnessRisesEvenly) {
  constexpr int kSteps = 64;
  const double whole = lightness(map_color(1)) - lightness(map_color(0));
  EXPECT_GT(whole, 0.6);
  double before = lightness(map_color(0));
  for (int i = 1; i <= kSteps; ++i) {
    const double now = lightness(map_color(static_cast<double>(i) / kSteps));
    EXPECT_NEAR(now - before, whole / kSteps, 0.004) << i;  // rounding to 8 bits
    before = now;
  }
}

TEST(ColorMap, HasNoEdges) {
  Color before = map_color(0);
  for (int i = 1; i <= 256; ++i) {
    const Color now = map_color(i / 256.0);
    EXPECT_LE(std::abs(now.red - before.red), 6) << i;
    EXPECT_LE(std::abs(now.green - before.green), 6) << i;
    EXPECT_LE(std::abs(now.blue - before.blue), 6) << i;
    before = now;
  }
}

TEST(ColorMap, IsClamped) {
  EXPECT_EQ(map_color(-1), map_color(0));
  EXPECT_EQ(map_color(7), map_color(1));
}

}  // namespace
}  // namespace switchyard::plot
