#include "train/window_sampler.h"

#include <gtest/gtest.h>
#include <set>
#include <vector>

#include "support/errors.h"

namespace switchyard::train {
namespace {

TEST(WindowSampler, AnEpochVisitsEachWindowOnceAtOneOffset) {
  for (const std::size_t tokens : {21UL, 35UL, 1000UL, 4097UL}) {
    const WindowSampler sampler(tokens, 10, 7);
    const std::uint64_t windows = sampler.windows_per_epoch();
    for (std::uint64_t epoch = 0; epoch < 5; ++epoch) {
      std::set<std::size_t> begins;
      for (std::uint64_t i = 0; i < windows; ++i) begins.insert(sampler.begin(epoch * windows + i));
      EXPECT_EQ(begins.size(), windows);
      const std::size_t offset = *begins.begin();
      EXPECT_LT(offset, 10U);
      for (const std::size_t begin : begins) EXPECT_EQ(begin % 10, offset);
      EXPECT_LE(*begins.rbegin() + 10 + 1, tokens);
    }
  }
}

TEST(WindowSampler, EpochsAndSeedsDiffer) {
  const WindowSampler a(100000, 10, 1);
  const WindowSampler b(100000, 10, 2);
  int same_seed = 0;
  int same_epoch = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    same_seed += a.begin(i) == b.begin(i);
    same_epoch += a.begin(i) == a.begin(i + a.windows_per_epoch());
  }
  EXPECT_LT(same_seed, 3);
  EXPECT_LT(same_epoch, 3);
}

TEST(WindowSampler, OrderIsNotTheTextsOrder) {
  const WindowSampler sampler(100000, 10, 3);
  int ascending = 0;
  for (std::uint64_t i = 1; i < 1000; ++i) ascending += sampler.begin(i) > sampler.begin(i - 1);
  EXPECT_NEAR(ascending, 500, 80);
}

TEST(WindowSampler, TextTooShortIsAnError) {
  const auto parts = testing_support::error_of([] { WindowSampler(20, 10, 1); });
  EXPECT_EQ(parts.what, "the training text has 20 tokens");
  EXPECT_EQ(parts.expected, "at least 21 for sequences of 10");
}

}  // namespace
}  // namespace switchyard::train
