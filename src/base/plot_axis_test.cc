#include "base/plot_axis.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

namespace switchyard::plot {
namespace {

using testing::ElementsAre;

Extent extent_of(Scale scale, std::initializer_list<double> values) {
  Extent extent(scale);
  for (const double value : values) extent.add(value);
  return extent;
}

std::vector<std::string> labels(const FittedAxis& axis) {
  std::vector<std::string> found;
  for (const Tick& tick : axis.ticks()) {
    if (!tick.label.empty()) found.push_back(tick.label);
  }
  return found;
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Extent, LeavesOutWhatHasNoPlace) {
  const Extent linear = extent_of(Scale::linear, {3, kNan, -1, kInfinity, 2});
  EXPECT_EQ(linear.low(), -1);
  EXPECT_EQ(linear.high(), 3);
  const Extent logarithmic = extent_of(Scale::logarithmic, {0, -5, 2, 7});
  EXPECT_EQ(logarithmic.low(), 2);
  EXPECT_EQ(logarithmic.high(), 7);
  EXPECT_TRUE(extent_of(Scale::logarithmic, {0, -5}).empty());
}

TEST(NiceStep, IsRound) {
  EXPECT_DOUBLE_EQ(nice_step(10, 5), 2);
  EXPECT_DOUBLE_EQ(nice_step(10, 4), 2.5);
  EXPECT_DOUBLE_EQ(nice_step(0.9, 3), 0.5);
  EXPECT_DOUBLE_EQ(nice_step(7e5, 1), 1e6);
  EXPECT_DOUBLE_EQ(nice_step(1e-7, 10), 1e-8);
}

TEST(TickLabels, AreWrittenAlike) {
  EXPECT_THAT(tick_labels({0, 0.25, 0.5}, 0.25), ElementsAre("0", "0.25", "0.50"));
  EXPECT_THAT(tick_labels({-2, 0, 2}, 2), ElementsAre("−2", "0", "2"));
  EXPECT_THAT(tick_labels({2000, 4000}, 2000), ElementsAre("2000", "4000"));
  EXPECT_THAT(tick_labels({0, 5000, 10000}, 5000), ElementsAre("0", "5k", "10k"));
  EXPECT_THAT(tick_labels({2.5e6, 5e6}, 2.5e6), ElementsAre("2.5M", "5.0M"));
  EXPECT_THAT(tick_labels({0, 2e-5, 4e-5}, 2e-5), ElementsAre("0", "2×10⁻⁵", "4×10⁻⁵"));
  EXPECT_THAT(tick_labels({1e20}, 1e20), ElementsAre("1×10²⁰"));
}

TEST(FittedAxis, NiceEndsLeaveRoomAndDoNotCrossZero) {
  const FittedAxis axis({}, extent_of(Scale::linear, {0.4, 44}), Fit::nice, 6);
  EXPECT_EQ(axis.low(), 0);
  EXPECT_EQ(axis.high(), 50);
  EXPECT_THAT(labels(axis), ElementsAre("0", "10", "20", "30", "40", "50"));
  const FittedAxis negative({}, extent_of(Scale::linear, {-44, -0.4}), Fit::nice, 6);
  EXPECT_EQ(negative.high(), 0);
}

TEST(FittedAxis, TightEndsAreTheData) {
  const FittedAxis axis({}, extent_of(Scale::linear, {100, 20000}), Fit::tight, 5);
  EXPECT_EQ(axis.low(), 100);
  EXPECT_EQ(axis.high(), 20000);
  EXPECT_THAT(labels(axis), ElementsAre("5k", "10k", "15k", "20k"));
}

TEST(FittedAxis, FixedEndsAreKept) {
  const FittedAxis axis({.min = 1, .max = 2}, extent_of(Scale::linear, {-50, 50}), Fit::nice, 5);
  EXPECT_EQ(axis.low(), 1);
  EXPECT_EQ(axis.high(), 2);
  const FittedAxis swapped({.min = 2, .max = 1}, extent_of(Scale::linear, {0}), Fit::nice, 5);
  EXPECT_LT(swapped.low(), swapped.high());
  const FittedAxis beyond({.min = 10}, extent_of(Scale::linear, {1, 2}), Fit::nice, 5);
  EXPECT_LE(beyond.low(), 10);
  EXPECT_LT(beyond.low(), beyond.high());
  const FittedAxis not_on_log({.scale = Scale::logarithmic, .min = 0},
                              extent_of(Scale::logarithmic, {1, 100}), Fit::tight, 5);
  EXPECT_EQ(not_on_log.low(), 1);
}

TEST(FittedAxis, PlacesValuesOnPixels) {
  FittedAxis linear({.min = 0, .max = 10}, Extent(Scale::linear), Fit::tight, 5);
  linear.place(400, 100);
  EXPECT_DOUBLE_EQ(linear.at(0), 400);
  EXPECT_DOUBLE_EQ(linear.at(10), 100);
  EXPECT_DOUBLE_EQ(linear.at(2.5), 325);
  EXPECT_TRUE(std::isfinite(linear.at(1e300)));
  FittedAxis logarithmic({.scale = Scale::logarithmic, .min = 1, .max = 100},
                         Extent(Scale::logarithmic), Fit::tight, 5);
  logarithmic.place(0, 200);
  EXPECT_DOUBLE_EQ(logarithmic.at(10), 100);
}

TEST(FittedAxis, LogarithmicTicks) {
  const auto axis = [](double low, double high) {
    return FittedAxis({.scale = Scale::logarithmic}, extent_of(Scale::logarithmic, {low, high}),
                      Fit::tight, 6);
  };
  EXPECT_THAT(labels(axis(1, 1000)), ElementsAre("1", "10", "100", "1000"));
  EXPECT_THAT(labels(axis(10, 300)), ElementsAre("10", "20", "50", "100", "200"));
  EXPECT_THAT(labels(axis(100, 250)), ElementsAre("100", "125", "150", "175", "200", "225", "250"));
  EXPECT_THAT(labels(axis(1, 1e6)), ElementsAre("10⁰", "10¹", "10²", "10³", "10⁴", "10⁵", "10⁶"));
  EXPECT_THAT(labels(axis(1e-6, 1e6)),
              ElementsAre("10⁻⁶", "10⁻⁴", "10⁻²", "10⁰", "10²", "10⁴", "10⁶"));
}

TEST(FittedAxis, AnyDataGivesAnOrderedFiniteAxis) {
  const double extremes[] = {
      0, 1, -1, 1e-310, 1e-300, 5e-324, 1e300, 1.7e308, -1.7e308, 12345678901234567.0, 0.1};
  for (const Scale scale : {Scale::linear, Scale::logarithmic}) {
    for (const Fit fit : {Fit::tight, Fit::nice}) {
      for (const double a : extremes) {
        for (const double b : extremes) {
          FittedAxis axis({.scale = scale}, extent_of(scale, {a, b}), fit, 5);
          axis.place(0, 100);
          EXPECT_LT(axis.low(), axis.high()) << a << " " << b;
          EXPECT_LE(axis.ticks().size(), 2000u) << a << " " << b;
          for (const Tick& tick : axis.ticks()) {
            EXPECT_GE(axis.at(tick.value), -1) << a << " " << b;
            EXPECT_LE(axis.at(tick.value), 101) << a << " " << b;
          }
        }
      }
    }
  }
}

TEST(AxisTitle, HasTheUnit) {
  EXPECT_EQ(axis_title({.label = "loss", .unit = "nats"}), "loss (nats)");
  EXPECT_EQ(axis_title({.label = "loss"}), "loss");
  EXPECT_EQ(axis_title({.unit = "ms"}), "(ms)");
  EXPECT_EQ(axis_title({}), "");
}

}  // namespace
}  // namespace switchyard::plot
