#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <set>

#include "switchyard/experts.h"

#include "experts/lfu_decay.h"
#include "experts/lru.h"
#include "support/errors.h"

namespace switchyard::experts {
namespace {

using switchyard::testing_support::error_of;

SlabId slab(std::uint32_t n) { return {n / 100, n % 100}; }

// What a cache of `capacity` slots does with a trace of single uses: victims in order, misses.
struct Replay {
  std::vector<std::uint32_t> victims;
  int misses = 0;
};
Replay replay(Policy& policy, const std::vector<std::uint32_t>& trace, std::size_t capacity) {
  Replay result;
  std::set<std::uint32_t> resident;
  for (const std::uint32_t n : trace) {
    if (!resident.contains(n)) {
      ++result.misses;
      if (resident.size() == capacity) {
        const auto victim = policy.victim([](SlabId) { return true; });
        if (!victim) throw std::logic_error("no victim");
        const std::uint32_t gone = victim->layer * 100 + victim->expert;
        policy.on_evict(*victim);
        EXPECT_EQ(resident.erase(gone), 1u);
        result.victims.push_back(gone);
      }
      policy.on_insert(slab(n), 1);
      resident.insert(n);
    }
    policy.on_use(slab(n));
  }
  return result;
}

std::vector<std::uint32_t> random_trace(unsigned seed, std::size_t length, std::uint32_t slabs) {
  std::mt19937 random(seed);
  std::vector<std::uint32_t> trace(length);
  // The lower of two: some slabs are more popular than others.
  for (auto& n : trace) n = std::min(random() % slabs, random() % slabs);
  return trace;
}

TEST(Lru, GoldenTrace) {
  const std::vector<std::uint32_t> trace = {1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5};
  Lru three;
  EXPECT_EQ(replay(three, trace, 3).misses, 10);
  Lru four;
  EXPECT_EQ(replay(four, trace, 4).misses, 8);
}

TEST(Lru, NeverHitsACyclicScanLargerThanTheCache) {
  std::vector<std::uint32_t> trace;
  for (std::uint32_t i = 0; i < 128 * 5; ++i) trace.push_back(i % 128);
  Lru policy;
  EXPECT_EQ(replay(policy, trace, 127).misses, 128 * 5);
}

TEST(Lru, AgreesWithTheNaiveScan) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    const auto trace = random_trace(seed, 300, 12);
    // Oracle: a list of residents with the time of their last use.
    std::map<std::uint32_t, int> last_use;
    std::vector<std::uint32_t> victims;
    for (int now = 0; now < static_cast<int>(trace.size()); ++now) {
      const std::uint32_t n = trace[static_cast<std::size_t>(now)];
      if (!last_use.contains(n) && last_use.size() == 5) {
        const auto oldest =
            std::min_element(last_use.begin(), last_use.end(),
                             [](const auto& a, const auto& b) { return a.second < b.second; });
        victims.push_back(oldest->first);
        last_use.erase(oldest);
      }
      last_use[n] = now;
    }
    Lru policy;
    EXPECT_EQ(replay(policy, trace, 5).victims, victims) << seed;
  }
}

TEST(Lru, WhatWasReadAheadCountsFromItsReading) {
  Lru policy;
  policy.on_insert(slab(1), 1);
  policy.on_use(slab(1));
  policy.on_insert(slab(2), 1);  // never used
  EXPECT_EQ(policy.victim([](SlabId) { return true; }), slab(1));
}

// Decayed counts, kept the slow way: all of them are multiplied at every use.
class NaiveDecay {
 public:
  void use(std::uint32_t n) {
    known_.insert(n);
    const double uses = LfuDecay::kUsesPerHalfLife * static_cast<double>(known_.size());
    for (auto& [id, count] : counts_) count *= std::exp2(-1.0 / uses);
    counts_[n] += 1;
  }
  double count(std::uint32_t n) { return counts_[n]; }

 private:
  std::set<std::uint32_t> known_;
  std::map<std::uint32_t, double> counts_;
};

TEST(LfuDecay, AgreesWithCountsDecayedOneByOne) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    const auto trace = random_trace(seed, 2000, 30);
    LfuDecay policy;
    NaiveDecay oracle;
    std::set<std::uint32_t> resident;
    for (const std::uint32_t n : trace) {
      if (!resident.contains(n)) {
        if (resident.size() == 8) {
          const auto victim = policy.victim([](SlabId) { return true; });
          ASSERT_TRUE(victim);
          const std::uint32_t gone = victim->layer * 100 + victim->expert;
          // Not worth more than any other; the two compute with different roundings.
          for (const std::uint32_t other : resident) {
            EXPECT_LE(oracle.count(gone), oracle.count(other) * (1 + 1e-9)) << seed;
          }
          policy.on_evict(*victim);
          resident.erase(gone);
        }
        policy.on_insert(slab(n), 1);
        resident.insert(n);
      }
      policy.on_use(slab(n));
      oracle.use(n);
    }
  }
}

TEST(LfuDecay, KeepsTheFrequentWhereLruDoesNot) {
  // One slab is used every other time, the others once in a long while.
  std::vector<std::uint32_t> trace;
  for (std::uint32_t i = 0; i < 400; ++i) trace.insert(trace.end(), {0, 1 + i % 50});
  for (std::uint32_t i = 0; i < 40; ++i) trace.insert(trace.end(), {1 + i % 50});
  trace.push_back(0);
  LfuDecay frequency;
  Lru recency;
  EXPECT_THAT(replay(frequency, trace, 3).victims, ::testing::Not(::testing::Contains(0u)));
  EXPECT_THAT(replay(recency, trace, 3).victims, ::testing::Contains(0u));
}

TEST(LfuDecay, ForgetsOldPopularityAfterSomeHalfLives) {
  LfuDecay policy;
  std::vector<std::uint32_t> trace(64, 7);                          // 7 is used 64 times,
  for (std::uint32_t i = 0; i < 1000; ++i) trace.push_back(i % 2);  // then never again
  replay(policy, trace, 3);
  EXPECT_EQ(policy.victim([](SlabId) { return true; }), slab(7));
}

TEST(LfuDecay, RemembersWhatLeft) {
  LfuDecay policy;
  for (const std::uint32_t n : {1u, 2u}) policy.on_insert(slab(n), 1);
  for (int i = 0; i < 5; ++i) policy.on_use(slab(1));
  policy.on_use(slab(2));
  policy.on_use(slab(2));
  policy.on_evict(slab(1));
  policy.on_insert(slab(1), 1);
  EXPECT_EQ(policy.victim([](SlabId) { return true; }), slab(2));
}

TEST(LfuDecay, NeverUsedGoesFirstAndTiesGoToTheLowerId) {
  LfuDecay policy;
  for (const std::uint32_t n : {3u, 2u, 1u}) policy.on_insert(slab(n), 1);
  EXPECT_EQ(policy.victim([](SlabId) { return true; }), slab(1));
  policy.on_use(slab(1));
  EXPECT_EQ(policy.victim([](SlabId) { return true; }), slab(2));
}

TEST(Policies, EveryOneRespectsWhatMayNotGo) {
  for (const PolicyEntry& entry : policies()) {
    const auto policy = make_policy(entry.name);
    EXPECT_EQ(policy->name(), entry.name);
    EXPECT_FALSE(policy->victim([](SlabId) { return true; }));
    for (std::uint32_t n = 0; n < 10; ++n) {
      policy->on_insert(slab(n), 1);
      policy->on_use(slab(n));
    }
    for (std::uint32_t n = 0; n < 10; ++n) {
      EXPECT_EQ(policy->victim([&](SlabId id) { return id == slab(n); }), slab(n));
    }
    EXPECT_FALSE(policy->victim([](SlabId) { return false; }));
  }
}

TEST(Policies, AreFairOnUniformTraces) {
  // No causal policy hits more than capacity / slabs when every slab is as likely as any other.
  std::mt19937 random(1);
  std::vector<std::uint32_t> trace(40'000);
  for (auto& n : trace) n = random() % 64;
  for (const PolicyEntry& entry : policies()) {
    const auto policy = make_policy(entry.name);
    const double hits = 1.0 - static_cast<double>(replay(*policy, trace, 16).misses) / 40'000;
    EXPECT_NEAR(hits, 0.25, 0.02) << entry.name;
  }
}

TEST(Policies, AnUnknownNameListsTheKnownOnes) {
  const auto error = error_of([] { make_policy("belady"); });
  EXPECT_EQ(error.what, "unknown expert policy 'belady'");
  EXPECT_EQ(error.expected, "one of: lru, lfu-decay");
}

}  // namespace
}  // namespace switchyard::experts
