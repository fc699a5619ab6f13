#include "train/statistics.h"

#include <cmath>
#include <gtest/gtest.h>

namespace switchyard::train {
namespace {

TEST(Statistics, IntervalOfThreeValues) {
  const Interval interval = confidence_interval({1.0, 2.0, 3.0});
  EXPECT_DOUBLE_EQ(interval.mean, 2.0);
  EXPECT_NEAR(interval.high - interval.mean, 4.303 / std::sqrt(3.0),
              1e-12);  // deviation 1, t of 2 degrees of freedom
  EXPECT_NEAR(interval.mean - interval.low, interval.high - interval.mean, 1e-12);
}

TEST(Statistics, OneValueSaysNothingAboutSpread) {
  const Interval interval = confidence_interval({5.0});
  EXPECT_EQ(interval.mean, 5.0);
  EXPECT_TRUE(std::isinf(interval.low) && std::isinf(interval.high));
  EXPECT_EQ(standard_deviation({5.0}), 0.0);
}

TEST(Statistics, ManyValuesUseTheNormalQuantile) {
  std::vector<double> values;
  for (int i = 0; i < 100; ++i) values.push_back(i % 2);
  const Interval interval = confidence_interval(values);
  EXPECT_NEAR(interval.high - 0.5, 1.96 * standard_deviation(values) / 10.0, 1e-12);
}

}  // namespace
}  // namespace switchyard::train
