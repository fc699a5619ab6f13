// Several callers and what goes wrong: shared reads, failures, stops, room.
#include <atomic>
#include <future>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>
#include <thread>

#include "switchyard/experts.h"

#include "experts/test_store.h"
#include "support/errors.h"

namespace switchyard::experts {
namespace {

using switchyard::testing_support::error_of;
using ::testing::HasSubstr;
using testing_support::bytes_are_right;
using testing_support::ids;
using testing_support::TestStore;

constexpr std::uint64_t kSlab = TestStore::kSlab;

// A call on a thread of its own.
template <typename Call>
auto start(Call call) {
  return std::async(std::launch::async, std::move(call));
}

// Waits until the counters satisfy a condition that is sure to come; there is no event to wait for.
template <typename Condition>
void until(const Cache& cache, Condition condition) {
  while (!condition(cache.stats())) std::this_thread::yield();
}

TEST(CacheWait, CallersOfOneSlabShareOneRead) {
  TestStore files(1, 4);
  Cache cache(files.store, {.budget = 4 * kSlab});
  files.file->hold_all();
  std::vector<std::future<std::vector<Pin>>> callers;
  for (int i = 0; i < 4; ++i) callers.push_back(start([&] { return cache.acquire(0, ids(2)); }));
  until(cache, [](const CacheStats& stats) { return stats.misses + stats.late_hits == 4; });
  files.file->release();
  for (auto& caller : callers) {
    const auto pins = caller.get();
    EXPECT_TRUE(bytes_are_right(*files.store, pins[0]));
  }
  EXPECT_EQ(files.reads(0, 2), 1);
  EXPECT_EQ(cache.stats().misses, 1u);
  EXPECT_EQ(cache.stats().late_hits, 3u);
  EXPECT_GT(cache.stats().wait_seconds, 0);
}

TEST(CacheWait, AllMissingReadsAreStartedBeforeTheFirstIsWaitedFor) {
  TestStore files(1, 4);
  Cache cache(files.store, {.budget = 4 * kSlab});
  files.file->hold_all();
  auto caller = start([&] { return cache.acquire(0, ids(0, 1, 2, 3)); });
  files.file->wait_for_blocked(4);
  files.file->release();
  EXPECT_EQ(caller.get().size(), 4u);
}

TEST(CacheWait, AResidentExpertDoesNotWaitForAnothersRead) {
  TestStore files(2, 2);
  Cache cache(files.store, {.budget = 4 * kSlab});
  cache.acquire(0, ids(0));
  files.hold(1, 1);
  auto slow = start([&] { return cache.acquire(1, ids(1)); });
  files.file->wait_for_blocked(1);
  EXPECT_EQ(cache.acquire(0, ids(0)).size(), 1u);
  EXPECT_EQ(cache.acquire(1, ids(0)).size(), 1u);  // nor does another read
  files.file->release();
  slow.get();
}

// ---- Failures -----------------------------------------------------------------------------------

TEST(CacheWait, AFailedReadNamesTheExpertAndALaterCallTriesAgain) {
  TestStore files(2, 4);
  Cache cache(files.store, {.budget = 4 * kSlab});
  files.file->fail(files.offset(1, 2));
  const auto error = error_of([&] { cache.acquire(1, ids(0, 2, 3)); });
  EXPECT_THAT(error.what, HasSubstr("an expert could not be read: the disk is on fire"));
  EXPECT_EQ(error.where, "watched.bin: layer 1, expert 2");
  error_of([&] { cache.acquire_each(1, ids(2), [](auto, auto) { FAIL(); }); });
  files.file->heal();
  EXPECT_TRUE(bytes_are_right(*files.store, cache.acquire(1, ids(2))[0]));
  EXPECT_EQ(cache.acquire(1, ids(0, 1, 2, 3)).size(), 4u);  // nothing is pinned or lost
}

TEST(CacheWait, EveryCallerThatWaitsGetsTheFailure) {
  TestStore files(1, 4);
  Cache cache(files.store, {.budget = 4 * kSlab});
  files.file->hold_all();
  files.file->fail(files.offset(0, 1));
  std::vector<std::future<void>> callers;
  for (int i = 0; i < 3; ++i) callers.push_back(start([&] { cache.acquire(0, ids(1)); }));
  until(cache, [](const CacheStats& stats) { return stats.misses + stats.late_hits == 3; });
  files.file->release();
  for (auto& caller : callers) {
    EXPECT_EQ(error_of([&] { caller.get(); }).where, "watched.bin: layer 0, expert 1");
  }
}

TEST(CacheWait, AFailureInOnePieceOfASlabFailsTheSlab) {
  for (const int depth : {1, 2}) {
    TestStore files(1, 1, 10 * 4096);
    Cache cache(files.store, {.budget = 10 * 4096, .queue_depth = depth, .read_chunk = 4096});
    files.file->fail(3 * 4096);
    error_of([&] { cache.acquire(0, ids(0)); });
    // The rest is not read for nothing. Of two places one may go on until the failure is known.
    if (depth == 1) {
      EXPECT_EQ(files.file->reads(), 4);
    }
    files.file->heal();
    EXPECT_TRUE(bytes_are_right(*files.store, cache.acquire(0, ids(0))[0]));
  }
}

TEST(CacheWait, ACorruptByteNamesTheExpertAndBothChecksums) {
  TestStore files({{100, 5000}});
  Cache cache(files.store, {.budget = 4 * kSlab});
  files.file->corrupt(4321);
  const auto error = error_of([&] { cache.acquire(0, ids(0, 1)); });
  char expected[17];
  std::snprintf(expected, sizeof expected, "%016llx",
                static_cast<unsigned long long>(files.store->slab({0, 1}).checksum));
  EXPECT_EQ(error.expected, expected);
  EXPECT_THAT(error.what, HasSubstr("an expert's checksum is "));
  EXPECT_EQ(error.where, "watched.bin: layer 0, expert 1");
  files.file->heal();
  EXPECT_TRUE(bytes_are_right(*files.store, cache.acquire(0, ids(1))[0]));

  files.file->corrupt(4321);
  Cache trusting(files.store, {.budget = 4 * kSlab, .verify_checksums = false});
  EXPECT_FALSE(bytes_are_right(*files.store, trusting.acquire(0, ids(1))[0]));
}

// ---- Stops --------------------------------------------------------------------------------------

TEST(CacheWait, AStopEndsTheWaitForARead) {
  TestStore files(1, 4);
  Cache cache(files.store, {.budget = 4 * kSlab});
  files.file->hold_all();
  std::stop_source stop;
  auto caller = start([&] { cache.acquire(0, ids(0, 1), stop.get_token()); });
  auto each = start([&] {
    cache.acquire_each(
        0, ids(2), [](auto, auto) { FAIL(); }, stop.get_token());
  });
  files.file->wait_for_blocked(3);
  stop.request_stop();
  EXPECT_THROW(caller.get(), Cancelled);
  EXPECT_THROW(each.get(), Cancelled);
  files.file->release();
  EXPECT_EQ(cache.acquire(0, ids(0, 1, 2, 3)).size(), 4u);
}

TEST(CacheWait, AStopEndsTheWaitForRoom) {
  TestStore files(1, 4);
  Cache cache(files.store, {.budget = 2 * kSlab});
  auto kept = cache.acquire(0, ids(0, 1));
  std::stop_source stop;
  auto caller = start([&] { cache.acquire(0, ids(2), stop.get_token()); });
  auto each = start([&] {
    cache.acquire_each(
        0, ids(3), [](auto, auto) {}, stop.get_token());
  });
  stop.request_stop();
  EXPECT_THROW(caller.get(), Cancelled);
  EXPECT_THROW(each.get(), Cancelled);
  kept.clear();
  EXPECT_EQ(cache.acquire(0, ids(2, 3)).size(), 2u);
}

TEST(CacheWait, AStopDoesNotSpoilAReadThatAnotherCallerWaitsFor) {
  TestStore files(1, 2);
  Cache cache(files.store, {.budget = 2 * kSlab});
  files.file->hold_all();
  std::stop_source stop;
  auto stopped = start([&] { cache.acquire(0, ids(0), stop.get_token()); });
  until(cache, [](const CacheStats& stats) { return stats.misses == 1; });
  auto stays = start([&] { return cache.acquire(0, ids(0)); });
  until(cache, [](const CacheStats& stats) { return stats.late_hits == 1; });
  stop.request_stop();
  EXPECT_THROW(stopped.get(), Cancelled);
  files.file->release();
  EXPECT_TRUE(bytes_are_right(*files.store, stays.get()[0]));
}

TEST(CacheWait, TheDestructorWaitsForReadsInFlight) {
  TestStore files(2, 4);
  files.file->hold_all();
  std::optional<Cache> cache(std::in_place, files.store, CacheOptions{.budget = 8 * kSlab});
  cache->prefetch(1, ids(0, 1, 2, 3));
  files.file->wait_for_blocked(1);
  std::stop_source stop;
  auto caller = start([&] { cache->acquire(0, ids(0), stop.get_token()); });
  until(*cache, [](const CacheStats& stats) { return stats.misses == 1; });
  stop.request_stop();
  EXPECT_THROW(caller.get(), Cancelled);
  auto end = start([&] { cache.reset(); });
  files.file->release();
  end.get();
}

// ---- Room ---------------------------------------------------------------------------------------

TEST(CacheWait, RoomComesWhenPinsAreReleased) {
  TestStore files(1, 4);
  Cache cache(files.store, {.budget = 2 * kSlab});
  auto kept = cache.acquire(0, ids(0, 1));
  auto caller = start([&] { return cache.acquire(0, ids(2, 3)); });
  kept.pop_back();
  kept.pop_back();
  const auto pins = caller.get();
  EXPECT_TRUE(bytes_are_right(*files.store, pins[0]));
  EXPECT_TRUE(bytes_are_right(*files.store, pins[1]));
}

// Each needs the whole budget: holding half of it and waiting for the rest would never end.
TEST(CacheWait, CallersThatTogetherNeedMoreThanTheBudgetTakeTurns) {
  TestStore files(4, 4);
  Cache cache(files.store, {.budget = 4 * kSlab});
  std::vector<std::future<void>> callers;
  for (std::uint32_t layer = 0; layer < 4; ++layer) {
    callers.push_back(start([&, layer] {
      for (int round = 0; round < 200; ++round) {
        const auto pins = cache.acquire(layer, ids(0, 1, 2, 3));
        for (const Pin& pin : pins) ASSERT_EQ(pin.id().layer, layer);
        ASSERT_TRUE(bytes_are_right(*files.store, pins[round % 4]));
      }
    }));
  }
  for (auto& caller : callers) caller.get();
  EXPECT_LE(cache.stats().peak_bytes, 4 * kSlab);
}

}  // namespace
}  // namespace switchyard::experts
