// Reading ahead: a hint that helps, and never harms who waits.
#include <future>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

#include "switchyard/experts.h"

#include "experts/test_store.h"
#include "support/errors.h"

namespace switchyard::experts {
namespace {

using switchyard::testing_support::error_of;
using testing_support::bytes_are_right;
using testing_support::ids;
using testing_support::TestStore;
using testing_support::WatchedCache;

constexpr std::uint64_t kSlab = TestStore::kSlab;

template <typename Call>
auto start(Call call) {
  return std::async(std::launch::async, std::move(call));
}

template <typename Condition>
void until(const Cache& cache, Condition condition) {
  while (!condition(cache.stats())) std::this_thread::yield();
}

TEST(Prefetch, WhatWasReadAheadIsAHit) {
  TestStore files(2, 4);
  WatchedCache watched(files, {.budget = 8 * kSlab});
  Cache& cache = watched.cache;
  cache.prefetch(1, ids(1, 3));
  watched.policy.wait_for_ready(2);
  const auto pins = cache.acquire(1, ids(1, 3));
  for (const Pin& pin : pins) EXPECT_TRUE(bytes_are_right(*files.store, pin));
  const CacheStats stats = cache.stats();
  EXPECT_EQ(stats.hits, 2u);
  EXPECT_EQ(stats.late_hits + stats.misses, 0u);
  EXPECT_EQ(stats.prefetches, 2u);
  EXPECT_EQ(files.file->reads(), 2);
}

TEST(Prefetch, TurnedOffDoesNothing) {
  TestStore files(1, 4);
  Cache cache(files.store, {.budget = 4 * kSlab, .prefetch = false});
  cache.prefetch(0, ids(0, 1));
  EXPECT_EQ(cache.stats().prefetches, 0u);
  EXPECT_EQ(files.file->reads(), 0);
}

TEST(Prefetch, WhoAsksWhileItIsBeingReadWaitsForThatRead) {
  TestStore files(1, 2);
  Cache cache(files.store, {.budget = 8 * kSlab});
  files.file->hold_all();
  cache.prefetch(0, ids(1));
  files.file->wait_for_blocked(1);
  auto caller = start([&] { return cache.acquire(0, ids(1)); });
  until(cache, [](const CacheStats& stats) { return stats.late_hits == 1; });
  files.file->release();
  EXPECT_TRUE(bytes_are_right(*files.store, caller.get()[0]));
  EXPECT_EQ(files.reads(0, 1), 1);
}

TEST(Prefetch, ItsFailureReachesWhoWaitsForItAndNobodyElse) {
  TestStore files(1, 3);
  Cache cache(files.store, {.budget = 12 * kSlab});
  files.file->hold_all();
  files.file->fail(files.offset(0, 1));
  cache.prefetch(0, ids(1));
  files.file->wait_for_blocked(1);
  auto caller = start([&] { return cache.acquire(0, ids(1)); });
  until(cache, [](const CacheStats& stats) { return stats.late_hits == 1; });
  files.file->release();
  EXPECT_EQ(error_of([&] { caller.get(); }).where, "watched.bin: layer 0, expert 1");

  // When nobody waits, the next call reads for itself.
  cache.prefetch(0, ids(1));
  until(cache, [](const CacheStats& stats) { return stats.resident_bytes == 0; });
  files.file->heal();
  EXPECT_TRUE(bytes_are_right(*files.store, cache.acquire(0, ids(1))[0]));
}

// Every read ahead hangs; a demanded read still finds a place in the queue, and room.
TEST(Prefetch, DoesNotDelayDemand) {
  TestStore files(2, 16);
  Cache cache(files.store, {.budget = 12 * kSlab, .queue_depth = 8});
  files.file->hold(files.offset(1, 0), files.offset(1, 15) + kSlab);
  std::vector<std::uint32_t> all(16);
  for (std::uint32_t i = 0; i < 16; ++i) all[i] = i;
  cache.prefetch(1, all);
  files.file->wait_for_blocked(2);
  for (std::uint32_t first = 0; first < 16; first += 4) {
    const auto pins = cache.acquire(0, ids(first, first + 1, first + 2, first + 3));
    for (const Pin& pin : pins) EXPECT_TRUE(bytes_are_right(*files.store, pin));
  }
  EXPECT_LE(files.file->reads(), 16 + 2);  // a quarter of the queue
  files.file->release();
}

TEST(Prefetch, WaitsWhileDemandedReadsWaitForTheirPlace) {
  TestStore files(2, 4);
  Cache cache(files.store, {.budget = 8 * kSlab, .queue_depth = 2});
  files.file->hold_all();
  auto caller = start([&] { return cache.acquire(0, ids(0, 1, 2)); });
  files.file->wait_for_blocked(2);
  cache.prefetch(1, ids(0));
  EXPECT_EQ(cache.stats().prefetches, 0u);
  files.file->release();
  caller.get();
  until(cache, [](const CacheStats& stats) { return stats.prefetches == 1; });
}

TEST(Prefetch, IsDroppedWhenItsLayerHasPassed) {
  TestStore files(3, 8);
  Cache cache(files.store, {.budget = 8 * kSlab, .queue_depth = 4});
  cache.acquire(0, ids(0));
  files.file->hold(files.offset(1, 0), files.offset(2, 0));
  cache.prefetch(1, ids(0, 1, 2, 3, 4));
  files.file->wait_for_blocked(1);  // one in flight, the others are hints
  files.hold(1, 7);
  auto caller = start([&] { return cache.acquire(1, ids(7)); });
  until(cache, [](const CacheStats& stats) { return stats.misses == 2; });
  EXPECT_EQ(cache.stats().dropped_prefetches, 0u);  // more of this layer may be asked for
  cache.acquire(2, ids(0));
  EXPECT_EQ(cache.stats().dropped_prefetches, 4u);
  files.file->release();
  caller.get();
  EXPECT_EQ(files.reads(1, 4), 0);
}

TEST(Prefetch, LeftoversGoFirst) {
  TestStore files(3, 8);
  // Room for 8; two slabs of layer 0 are in use all the time, and least recently used.
  WatchedCache watched(files, {.budget = 8 * kSlab});
  Cache& cache = watched.cache;
  cache.acquire(0, ids(0, 1));
  cache.prefetch(1, ids(0, 1, 2));
  watched.policy.wait_for_ready(5);
  cache.acquire(1, ids(0));        // 1 and 2 were guessed wrong
  cache.acquire(2, ids(0, 1, 2));  // eight resident
  EXPECT_EQ(cache.stats().evictions, 0u);
  cache.acquire(2, ids(3, 4));
  EXPECT_EQ(cache.stats().evictions, 2u);
  EXPECT_EQ(cache.stats().useless_prefetches, 2u);
  cache.reset_stats();
  cache.acquire(0, ids(0, 1));
  cache.acquire(1, ids(0));
  EXPECT_EQ(cache.stats().hits, 3u);
}

TEST(Prefetch, WhatItsLayerStillWaitsForIsSparedByDemand) {
  TestStore files(2, 16);
  // Frequency alone would evict what was never used first.
  WatchedCache watched(files, {.budget = 8 * kSlab, .policy = "lfu-decay"});
  Cache& cache = watched.cache;
  cache.prefetch(1, ids(0, 1));
  watched.policy.wait_for_ready(2);
  for (std::uint32_t expert = 0; expert < 16; ++expert) cache.acquire(0, ids(expert));
  cache.reset_stats();
  cache.acquire(1, ids(0, 1));
  EXPECT_EQ(cache.stats().misses, 0u);
  EXPECT_EQ(files.reads(1, 0), 1);
}

TEST(Prefetch, NeverTakesMoreThanHalfTheBudgetForGuesses) {
  TestStore files(2, 16);
  WatchedCache watched(files, {.budget = 8 * kSlab});
  Cache& cache = watched.cache;
  cache.acquire(0, ids(0, 1, 2, 3));
  cache.prefetch(1, ids(0, 1, 2, 3, 4, 5, 6, 7));
  watched.policy.wait_for_ready(8);
  EXPECT_EQ(cache.stats().prefetches, 4u);
  cache.reset_stats();
  cache.acquire(0, ids(0, 1, 2, 3));
  EXPECT_EQ(cache.stats().hits, 4u);
}

TEST(Prefetch, WhatComesAfterItsLayerHasPassedIsALeftover) {
  TestStore files(3, 8);
  WatchedCache watched(files, {.budget = 4 * kSlab});
  Cache& cache = watched.cache;
  cache.acquire(0, ids(0));
  files.hold(1, 5);
  cache.prefetch(1, ids(5));
  files.file->wait_for_blocked(1);
  cache.acquire(1, ids(0));
  cache.acquire(2, ids(0));
  files.file->release();
  watched.policy.wait_for_ready(4);
  cache.acquire(2, ids(1));  // the fifth
  EXPECT_EQ(cache.stats().useless_prefetches, 1u);
}

TEST(Prefetch, AGuessThatNeverComesTrueDoesNotHoldItsRoomForEver) {
  TestStore files(1, 16);  // one layer: it never passes
  WatchedCache watched(files, {.budget = 4 * kSlab});
  Cache& cache = watched.cache;
  cache.prefetch(0, ids(0, 1));
  watched.policy.wait_for_ready(2);
  cache.acquire(0, ids(8, 9));
  cache.prefetch(0, ids(10));  // guesses hold half of the budget already
  EXPECT_EQ(cache.stats().prefetches, 2u);
  for (int i = 0; i < 40; ++i) cache.acquire(0, ids(8, 9));  // 16 slabs, four times each
  until(cache, [](const CacheStats& stats) { return stats.prefetches == 3; });
  watched.policy.wait_for_ready(5);
  EXPECT_EQ(cache.stats().useless_prefetches, 1u);
}

TEST(Prefetch, WithABudgetOfOneSlabDemandStillWorks) {
  TestStore files(2, 4);
  Cache cache(files.store, {.budget = kSlab, .queue_depth = 1});
  for (int round = 0; round < 10; ++round) {
    cache.prefetch(1, ids(0, 1, 2, 3));
    EXPECT_TRUE(bytes_are_right(*files.store, cache.acquire(0, ids(round % 4))[0]));
    EXPECT_TRUE(bytes_are_right(*files.store, cache.acquire(1, ids(round % 4))[0]));
  }
  EXPECT_EQ(cache.stats().prefetches, 0u);
}

}  // namespace
}  // namespace switchyard::experts
