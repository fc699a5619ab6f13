#include "base/random.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>
#include <set>
#include <vector>

namespace switchyard {
namespace {

TEST(Random, IsTheDocumentedFunction) {
  // SplitMix64 started at 0 is known from its authors' reference: this is its first output.
  EXPECT_EQ(mix_bits(RandomKey::kGolden), 0xe220a8397b1dcdafu);
  const RandomKey key{.seed = 1, .step = 2, .pass = 3, .layer = 4};
  Random random(key);
  for (std::uint64_t n = 1; n <= 5; ++n) {
    EXPECT_EQ(random(), mix_bits(key.hash() + n * RandomKey::kGolden));
  }
  EXPECT_EQ(random.position(), 5u);
}

TEST(Random, EveryPartOfTheKeyMatters) {
  std::set<std::uint64_t> first;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    for (std::uint64_t step = 0; step < 4; ++step) {
      for (std::uint64_t pass = 0; pass < 4; ++pass) {
        for (std::uint64_t layer = 0; layer < 4; ++layer)
          first.insert(Random({seed, step, pass, layer})());
      }
    }
  }
  EXPECT_EQ(first.size(), 256u);
}

TEST(Random, PositionIsAPlaceInTheStream) {
  Random a(7);
  std::vector<std::uint64_t> values(10);
  for (auto& value : values) value = a();
  Random b(7);
  b.set_position(6);
  EXPECT_EQ(b(), values[6]);
  Random copy = b;
  EXPECT_EQ(copy(), values[7]);
  EXPECT_EQ(b(), values[7]);
}

TEST(Random, UniformIsUniform) {
  Random random(1);
  const int n = 200000;
  double sum = 0;
  std::vector<int> bins(10, 0);
  for (int i = 0; i < n; ++i) {
    const double x = random.uniform();
    ASSERT_GE(x, 0);
    ASSERT_LT(x, 1);
    sum += x;
    ++bins[static_cast<std::size_t>(x * 10)];
    const float y = random.uniform_float();
    ASSERT_GE(y, 0);
    ASSERT_LT(y, 1);
  }
  EXPECT_NEAR(sum / n, 0.5, 4 * std::sqrt(1.0 / 12 / n));
  double chi_squared = 0;
  for (const int count : bins) chi_squared += std::pow(count - n / 10.0, 2) / (n / 10.0);
  EXPECT_LT(chi_squared, 27.9);  // 9 degrees of freedom, one in a thousand
}

TEST(Random, BelowHasNoBias) {
  Random random(2);
  std::vector<int> counts(6, 0);
  for (int i = 0; i < 60000; ++i) ++counts.at(random.below(6));
  for (const int count : counts) EXPECT_NEAR(count, 10000, 400);
  EXPECT_EQ(random.below(1), 0u);
  // With n just above 2^63, a remainder without repetition would halve the upper values.
  const std::uint64_t n = (std::uint64_t{1} << 63) + 1;
  int upper = 0;
  for (int i = 0; i < 10000; ++i) upper += random.below(n) >= n / 2 ? 1 : 0;
  EXPECT_NEAR(upper, 5000, 250);
}

TEST(Random, NormalHasMeanZeroAndVarianceOne) {
  Random random(3);
  const int n = 100000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < n; ++i) {
    const double x = random.normal();
    ASSERT_TRUE(std::isfinite(x));
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / n, 0, 0.015);
  EXPECT_NEAR(squares / n, 1, 0.02);
}

TEST(Random, WorksWithShuffle) {
  std::vector<int> order(100);
  std::iota(order.begin(), order.end(), 0);
  Random random(4);
  std::shuffle(order.begin(), order.end(), random);
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  EXPECT_THAT(std::set<int>(order.begin(), order.end()), testing::SizeIs(100));
}

}  // namespace
}  // namespace switchyard
