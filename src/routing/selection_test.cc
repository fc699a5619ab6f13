#include "routing/selection.h"

#include <cmath>
#include <gtest/gtest.h>
#include <vector>

#include "base/check.h"
#include "routing/testing/cases.h"
#include "routing/testing/oracle.h"

namespace switchyard::routing {
namespace {

std::vector<std::int32_t> select(std::span<const float> keys, std::size_t k) {
  std::vector<std::int32_t> out(k);
  select_top_k(keys, out);
  return out;
}

// Every width around the block size, every K: both algorithms, every tail.
TEST(Selection, EqualsSortingEverything) {
  for (const std::size_t experts : {1U, 2U, 7U, 8U, 15U, 16U, 17U, 31U, 64U, 100U}) {
    const auto row = testing::random_logits(1, experts, experts);
    for (std::size_t k = 0; k <= experts; ++k) {
      EXPECT_EQ(select(row, k), testing::oracle_top_k(row, k)) << experts << " choose " << k;
    }
  }
}

TEST(Selection, EqualsSortingEverythingOnAdversarialRows) {
  for (const std::size_t experts : {8U, 64U, 1024U}) {
    for (const auto& c : testing::adversarial_logits(3, experts)) {
      for (std::size_t n = 0; n < 3; ++n) {
        const auto row = std::span(c.logits).subspan(n * experts, experts);
        for (const std::size_t k : {1U, 2U, 8U, 32U, 33U, 1024U}) {
          if (k > experts) continue;
          EXPECT_EQ(select(row, k), testing::oracle_top_k(row, k)) << c.name << " " << k;
        }
      }
    }
  }
}

TEST(Selection, TiesGoToTheLowerIndexAndSignedZerosAreTies) {
  EXPECT_EQ(select(std::vector<float>{-0.0F, 0.0F, -0.0F}, 2), (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(select(std::vector<float>{1, 2, 2, 3, 2}, 3), (std::vector<std::int32_t>{3, 1, 2}));
}

TEST(Selection, ExcludedKeysComeLastInOrder) {
  const float out = -INFINITY;
  EXPECT_EQ(select(std::vector<float>{out, 1, out, 2}, 4), (std::vector<std::int32_t>{3, 1, 0, 2}));
}

TEST(Selection, MoreThanThereAreIsABug) {
  const std::vector<float> keys(3, 0.0F);
  std::vector<std::int32_t> out(4);
  EXPECT_THROW(select_top_k(keys, out), InternalError);
}

}  // namespace
}  // namespace switchyard::routing
