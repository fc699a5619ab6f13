#include "base/statistics.h"

#include <cmath>
#include <gtest/gtest.h>

namespace switchyard {
namespace {

TEST(Statistics, OfNoValuesIsZero) {
  EXPECT_EQ(mean({}), 0);
  EXPECT_EQ(median({}), 0);
  EXPECT_EQ(standard_deviation({}), 0);
}

TEST(Statistics, MedianIsOfTheSortedValues) {
  EXPECT_EQ(median({5}), 5);
  EXPECT_EQ(median({9, 1, 2}), 2);
  EXPECT_EQ(median({9, 1, 2, 4}), 3);
}

TEST(Statistics, DeviationIsThatOfASample) {
  EXPECT_EQ(standard_deviation({7}), 0);
  EXPECT_DOUBLE_EQ(mean({2, 4, 9}), 5);
  EXPECT_DOUBLE_EQ(standard_deviation({2, 4, 9}), std::sqrt((9.0 + 1.0 + 16.0) / 2));
}

}  // namespace
}  // namespace switchyard
