#include "cli/token_statistics.h"

#include <cmath>
#include <gtest/gtest.h>
#include <numeric>
#include <vector>

#include "base/random.h"

namespace switchyard::cli {
namespace {

TEST(Moments, MeanVarianceAndError) {
  Moments m;
  EXPECT_EQ(m.estimate().error, 0);
  for (const double x : {2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0}) m.add(x);
  EXPECT_DOUBLE_EQ(m.mean(), 5);
  EXPECT_DOUBLE_EQ(m.variance(), 32.0 / 7);
  EXPECT_DOUBLE_EQ(m.estimate().error, std::sqrt(32.0 / 7 / 8));
}

TEST(Moments, LosesNoDigitsFarFromZero) {
  Moments m;
  for (int i = 0; i < 1000; ++i) m.add(1e9 + (i % 2 == 0 ? 1 : -1));
  EXPECT_NEAR(m.variance(), 1000.0 / 999, 1e-6);
}

// The interval holds the truth about as often as it says.
TEST(Moments, IntervalCoversTheMean) {
  Random random(3);
  int covered = 0;
  constexpr int kTrials = 1000;
  for (int t = 0; t < kTrials; ++t) {
    Moments m;
    for (int i = 0; i < 200; ++i) m.add(5 + 2 * random.normal());
    covered += m.estimate().low() < 5 && 5 < m.estimate().high() ? 1 : 0;
  }
  EXPECT_NEAR(covered, 950, 25);
}

TEST(Exponential, ErrorToFirstOrder) {
  const Estimate e = exponential({std::log(20.0), 0.01});
  EXPECT_NEAR(e.value, 20, 1e-12);
  EXPECT_NEAR(e.error, 0.2, 1e-12);
}

TEST(Share, BinomialError) {
  EXPECT_DOUBLE_EQ(share(90, 100).value, 0.9);
  EXPECT_DOUBLE_EQ(share(90, 100).error, 0.03);
  EXPECT_EQ(share(7, 7).error, 0);
}

TEST(Quantile, NearestRankAndTheRanksAroundIt) {
  std::vector<float> x(100);
  std::iota(x.begin(), x.end(), 1.0F);
  EXPECT_EQ(quantile(x, 0.5).value, 50);
  EXPECT_EQ(quantile(x, 0.5).error, 5);  // ranks 45 and 55
  EXPECT_EQ(quantile(x, 0.99).value, 99);
  EXPECT_EQ(quantile(x, 1).value, 100);
  EXPECT_EQ(quantile(x, 0).value, 1);
  const std::vector<float> one{3};
  EXPECT_EQ(quantile(one, 0.99).value, 3);
  EXPECT_EQ(quantile(one, 0.99).error, 0);
}

}  // namespace
}  // namespace switchyard::cli
