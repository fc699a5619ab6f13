// What a single caller sees: bytes, hits, evictions, budget, waves.
#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>
#include <random>

#include "switchyard/experts.h"

#include "base/check.h"
#include "experts/test_store.h"
#include "support/errors.h"

namespace switchyard::experts {
namespace {

using switchyard::testing_support::error_of;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::bytes_are_right;
using testing_support::ids;
using testing_support::TestStore;

constexpr std::uint64_t kSlab = TestStore::kSlab;

TEST(Cache, HandsOutTheBytesOfEachExpertInTheOrderAsked) {
  TestStore files(2, 4);
  Cache cache(files.store, {.budget = 8 * kSlab});
  const auto pins = cache.acquire(1, ids(3, 0, 2));
  ASSERT_EQ(pins.size(), 3u);
  EXPECT_EQ(pins[0].id(), (SlabId{1, 3}));
  EXPECT_EQ(pins[1].id(), (SlabId{1, 0}));
  EXPECT_EQ(pins[2].id(), (SlabId{1, 2}));
  for (const Pin& pin : pins) EXPECT_TRUE(bytes_are_right(*files.store, pin));
}

TEST(Cache, CountsHitsAndMisses) {
  TestStore files(1, 4);
  Cache cache(files.store, {.budget = 4 * kSlab});
  cache.acquire(0, ids(0, 1));
  cache.acquire(0, ids(1, 2));
  const CacheStats stats = cache.stats();
  EXPECT_EQ(stats.misses, 3u);
  EXPECT_EQ(stats.hits, 1u);
  EXPECT_EQ(stats.late_hits, 0u);
  EXPECT_EQ(stats.bytes_read, 3 * kSlab);
  EXPECT_EQ(stats.resident_bytes, 3 * kSlab);
  EXPECT_EQ(stats.peak_bytes, 3 * kSlab);
  cache.reset_stats();
  EXPECT_EQ(cache.stats().misses, 0u);
  EXPECT_EQ(cache.stats().bytes_read, 0u);
  EXPECT_EQ(cache.stats().resident_bytes, 3 * kSlab);
  EXPECT_EQ(cache.stats().peak_bytes, 3 * kSlab);
}

TEST(Cache, EvictsByPolicyWhenFull) {
  TestStore files(1, 4);
  Cache cache(files.store, {.budget = 2 * kSlab, .policy = "lru"});
  cache.acquire(0, ids(0));
  cache.acquire(0, ids(1));
  cache.acquire(0, ids(0));
  cache.acquire(0, ids(2));  // 1 leaves
  EXPECT_EQ(cache.stats().evictions, 1u);
  cache.acquire(0, ids(0));
  EXPECT_EQ(files.reads(0, 0), 1);
  cache.acquire(0, ids(1));
  EXPECT_EQ(files.reads(0, 1), 2);
}

TEST(Cache, NeverEvictsWhatIsPinned) {
  TestStore files(1, 8);
  Cache cache(files.store, {.budget = 3 * kSlab});
  const auto kept = cache.acquire(0, ids(5));
  for (int round = 0; round < 3; ++round) {
    for (std::uint32_t expert = 0; expert < 8; ++expert) cache.acquire(0, ids(expert));
  }
  EXPECT_TRUE(bytes_are_right(*files.store, kept[0]));
  EXPECT_EQ(files.reads(0, 5), 1);
}

TEST(Cache, ABudgetBelowTheFloorSaysTheFloor) {
  TestStore files({{100, 3 * kSlab + 1, kSlab}});
  const std::uint64_t floor = Cache::floor_bytes(*files.store, {});
  EXPECT_EQ(floor, 4 * kSlab);  // whole pages
  const auto error = error_of([&] { Cache(files.store, {.budget = floor - 1}); });
  EXPECT_EQ(error.what, "a budget of 16383 bytes for experts is too small");
  EXPECT_EQ(error.where, "expert cache: layer 0, expert 1 is the largest");
  EXPECT_EQ(error.expected, "at least 16384 bytes");
  Cache cache(files.store, {.budget = floor});
  for (std::uint32_t expert : {0u, 1u, 2u, 1u}) {
    EXPECT_TRUE(bytes_are_right(*files.store, cache.acquire(0, ids(expert))[0]));
  }
  EXPECT_LE(cache.stats().peak_bytes, floor);
}

TEST(Cache, KnobsOutOfRangeAreNamed) {
  TestStore files(1, 1);
  EXPECT_THAT(error_of([&] { Cache(files.store, {.budget = kSlab, .queue_depth = 0}); }).what,
              "queue_depth is 0");
  EXPECT_THAT(error_of([&] { Cache(files.store, {.budget = kSlab, .read_chunk = 100}); }).expected,
              "4096 to 1073741824");
  EXPECT_THAT(error_of([&] { Cache(files.store, {.budget = kSlab, .policy = "fifo"}); }).expected,
              AllOf(HasSubstr("lru"), HasSubstr("lfu-decay")));
}

TEST(Cache, WaveSizeCountsTheLargestExpertsOfTheLayer) {
  TestStore files({{kSlab, kSlab, kSlab, kSlab}, {kSlab, 3 * kSlab, 2 * kSlab}, {}});
  Cache cache(files.store, {.budget = 3 * kSlab});
  EXPECT_EQ(cache.wave_size(0), 3u);
  EXPECT_EQ(cache.wave_size(1), 1u);
  EXPECT_EQ(cache.wave_size(2), 1u);
  Cache large(files.store, {.budget = 100 * kSlab});
  EXPECT_EQ(large.wave_size(0), 4u);
  EXPECT_EQ(Cache::full_bytes(*files.store, {}), 10 * kSlab);
}

TEST(Cache, MoreThanAWaveAtOnceIsACallersBug) {
  TestStore files(1, 4);
  Cache cache(files.store, {.budget = 2 * kSlab});
  EXPECT_THROW(cache.acquire(0, ids(0, 1, 2)), InternalError);
  EXPECT_THROW(cache.acquire(0, ids(4)), InternalError);
  EXPECT_THROW(cache.acquire(1, ids(0)), InternalError);
  // The same expert twice takes one slot.
  EXPECT_EQ(cache.acquire(0, ids(3, 3, 2)).size(), 3u);
}

TEST(Cache, AnEmptyListIsNothing) {
  TestStore files(1, 1);
  Cache cache(files.store, {.budget = kSlab});
  EXPECT_TRUE(cache.acquire(0, {}).empty());
  cache.acquire_each(0, {}, [](auto, auto) { FAIL(); });
  cache.prefetch(0, {});
}

TEST(Cache, AcquireEachHandsOutEveryPositionOnceInAnyNumberOfWaves) {
  TestStore files(1, 10);
  Cache cache(files.store, {.budget = 3 * kSlab});
  std::vector<std::uint32_t> experts(10);
  std::iota(experts.begin(), experts.end(), 0u);
  experts.push_back(4);  // named twice
  for (int round = 0; round < 2; ++round) {
    std::vector<int> seen(experts.size());
    cache.acquire_each(0, experts, [&](auto positions, auto pins) {
      ASSERT_EQ(positions.size(), pins.size());
      ASSERT_LE(pins.size(), 4u);
      for (std::size_t i = 0; i < pins.size(); ++i) {
        ++seen[positions[i]];
        EXPECT_EQ(pins[i].id().expert, experts[positions[i]]);
        EXPECT_TRUE(bytes_are_right(*files.store, pins[i]));
      }
    });
    EXPECT_THAT(seen, ::testing::Each(1));
  }
  EXPECT_EQ(cache.stats().hits + cache.stats().late_hits + cache.stats().misses, 22u);
  EXPECT_LE(cache.stats().peak_bytes, 3 * kSlab);
}

TEST(Cache, AcquireEachHandsOutResidentExpertsFirstWhileOthersAreBeingRead) {
  TestStore files(1, 4);
  Cache cache(files.store, {.budget = 4 * kSlab});
  cache.acquire(0, ids(1, 3));
  files.hold(0, 0);
  std::vector<std::size_t> order;
  cache.acquire_each(0, ids(0, 1, 2, 3), [&](auto positions, auto) {
    if (order.empty()) {
      EXPECT_THAT(positions[0], 1);
      EXPECT_THAT(positions[1], 3);
      files.file->wait_for_blocked(1);  // the read of 0 has begun
    }
    order.insert(order.end(), positions.begin(), positions.end());
    if (order.size() == 3) files.file->release();  // 2 came while 0 was held
  });
  EXPECT_THAT(order, ElementsAre(1, 3, 2, 0));
}

TEST(Cache, AnExceptionOfTheCallerGivesEverythingBack) {
  TestStore files(1, 4);
  Cache cache(files.store, {.budget = 2 * kSlab});
  struct Stop {};
  EXPECT_THROW(cache.acquire_each(0, ids(0, 1, 2, 3), [](auto, auto) { throw Stop(); }), Stop);
  EXPECT_EQ(cache.acquire(0, ids(2, 3)).size(), 2u);
}

TEST(Cache, APinMayOutliveTheCacheAndMove) {
  TestStore files(1, 2);
  Pin pin;
  EXPECT_FALSE(pin);
  {
    Cache cache(files.store, {.budget = 2 * kSlab});
    auto pins = cache.acquire(0, ids(0, 1));
    pin = std::move(pins[0]);
    EXPECT_FALSE(pins[0]);
    pin = std::move(pins[1]);
  }
  EXPECT_TRUE(pin);
  EXPECT_EQ(pin.id().expert, 1u);
  EXPECT_TRUE(bytes_are_right(*files.store, pin));
}

TEST(Cache, PoliciesQueuesAndPiecesDoNotChangeTheBytes) {
  TestStore files({{1, 70'001, 4096, 12'345}, {9'000, 64, 65'536, 30'000}});
  for (const PolicyEntry& entry : policies()) {
    for (const int depth : {1, 3, 16}) {
      for (const std::uint64_t chunk : {4096u, 8192u, 1u << 20}) {
        Cache cache(files.store, {.budget = 100 * kSlab / 4,
                                  .policy = std::string(entry.name),
                                  .queue_depth = depth,
                                  .read_chunk = chunk});
        EXPECT_EQ(cache.policy_name(), entry.name);
        std::mt19937 random(7);
        for (int i = 0; i < 50; ++i) {
          const std::uint32_t layer = random() % 2;
          const auto pins = cache.acquire(layer, ids(random() % 4));
          ASSERT_TRUE(bytes_are_right(*files.store, pins[0])) << entry.name << depth << chunk;
        }
        EXPECT_LE(cache.stats().peak_bytes, 100 * kSlab / 4);
      }
    }
  }
}

}  // namespace
}  // namespace switchyard::experts
