#include "switchyard/thread_pool.h"

#include <atomic>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <latch>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "switchyard/error.h"

#include "base/check.h"

namespace switchyard {
namespace {

class EveryPoolSize : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(ThreadPool, EveryPoolSize, testing::Values(1, 2, 3, 8));

TEST_P(EveryPoolSize, CoversTheRangeOnceInChunksOfTheGrain) {
  ThreadPool pool(GetParam());
  EXPECT_EQ(pool.threads(), GetParam());
  for (const std::size_t count : {0u, 1u, 2u, 7u, 64u, 1000u}) {
    for (const std::size_t grain : {0u, 1u, 3u, 64u, 5000u}) {
      std::vector<int> visits(count, 0);
      std::atomic<std::size_t> short_chunks{0};
      pool.parallel_for(count, grain, [&](std::size_t begin, std::size_t end) {
        ASSERT_LT(begin, end);
        if (end - begin != std::max<std::size_t>(grain, 1)) {
          EXPECT_EQ(end, count);
          ++short_chunks;
        }
        for (std::size_t i = begin; i < end; ++i) ++visits[i];
      });
      EXPECT_THAT(visits, testing::Each(1)) << count << " by " << grain;
      EXPECT_LE(short_chunks, 1u);
    }
  }
}

TEST_P(EveryPoolSize, ManyShortLoopsInARow) {
  ThreadPool pool(GetParam());
  std::uint64_t sum = 0;
  std::vector<std::uint64_t> part(16);
  for (std::uint64_t round = 0; round < 3000; ++round) {
    pool.parallel_for(part.size(), 1,
                      [&](std::size_t begin, std::size_t) { part[begin] = round + begin; });
    for (const std::uint64_t p : part) sum += p;
  }
  EXPECT_EQ(sum, 16ull * (2999ull * 3000 / 2) + 3000ull * 120);
}

TEST_P(EveryPoolSize, RethrowsTheFailureOfTheLowestChunk) {
  ThreadPool pool(GetParam());
  for (int round = 0; round < 200; ++round) {
    try {
      pool.parallel_for(64, 1, [](std::size_t begin, std::size_t) {
        if (begin % 10 == 7) throw std::runtime_error(std::to_string(begin));
      });
      FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "7");
    }
  }
  // The pool is as good as new.
  std::atomic<int> items{0};
  pool.parallel_for(10, 1, [&](std::size_t, std::size_t) { ++items; });
  EXPECT_EQ(items, 10);
}

TEST(ThreadPool, AFailureKeepsLaterChunksFromStarting) {
  ThreadPool pool(1);
  int started = 0;
  EXPECT_THROW(pool.parallel_for(100, 1,
                                 [&](std::size_t begin, std::size_t) {
                                   ++started;
                                   if (begin == 3) throw std::runtime_error("fourth");
                                 }),
               std::runtime_error);
  EXPECT_EQ(started, 4);
}

TEST_P(EveryPoolSize, StopGivesUpBetweenChunks) {
  ThreadPool pool(GetParam());
  std::stop_source source;
  std::atomic<int> started{0};
  EXPECT_THROW(pool.parallel_for(1000, 1, source.get_token(),
                                 [&](std::size_t, std::size_t) {
                                   const int number = ++started;
                                   if (number == 5) source.request_stop();
                                   // Else these could all run before the fifth gets to it.
                                   while (number > 5 && !source.stop_requested())
                                     std::this_thread::yield();
                                 }),
               Cancelled);
  EXPECT_GE(started, 5);
  EXPECT_LE(started, 5 + GetParam());
}

TEST(ThreadPool, AStopThatComesAfterTheLastChunkChangesNothing) {
  ThreadPool pool(1);
  std::stop_source source;
  EXPECT_NO_THROW(pool.parallel_for(3, 1, source.get_token(), [&](std::size_t begin, std::size_t) {
    if (begin == 2) source.request_stop();
  }));
  EXPECT_THROW(pool.parallel_for(3, 1, source.get_token(), [](std::size_t, std::size_t) {}),
               Cancelled);
}

TEST(ThreadPool, UsesAllItsThreads) {
  ThreadPool pool(4);
  std::latch all(4);
  std::mutex mutex;
  std::set<std::thread::id> ids;
  pool.parallel_for(4, 1, [&](std::size_t, std::size_t) {
    {
      const std::lock_guard lock(mutex);
      ids.insert(std::this_thread::get_id());
    }
    all.arrive_and_wait();  // ends only if four threads are inside at once
  });
  EXPECT_EQ(ids.size(), 4u);
  EXPECT_TRUE(ids.contains(std::this_thread::get_id()));
}

TEST(ThreadPool, OneThreadRunsInOrderOnTheCaller) {
  ThreadPool pool(1);
  std::vector<std::size_t> begins;
  pool.parallel_for(10, 4, [&](std::size_t begin, std::size_t) { begins.push_back(begin); });
  EXPECT_THAT(begins, testing::ElementsAre(0, 4, 8));
}

TEST(ThreadPool, CallersTakeTurns) {
  ThreadPool pool(2);
  std::atomic<int> items{0};
  std::atomic<int> owner{-1};  // the caller whose loop is running
  std::vector<std::thread> callers;
  callers.reserve(4);
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (int round = 0; round < 200; ++round) {
        std::atomic<int> left{4};
        pool.parallel_for(4, 1, [&](std::size_t, std::size_t) {
          int expected = -1;
          EXPECT_TRUE(owner.compare_exchange_strong(expected, caller) || expected == caller);
          ++items;
          if (--left == 0) owner = -1;
        });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(items, 4 * 200 * 4);
}

TEST(ThreadPool, WaitingForATurnObeysStop) {
  ThreadPool pool(2);
  std::latch first_inside(1);
  std::latch release(1);
  std::thread first([&] {
    pool.parallel_for(1, 1, [&](std::size_t, std::size_t) {
      first_inside.count_down();
      release.wait();
    });
  });
  first_inside.wait();
  std::stop_source source;
  std::thread second([&] {
    EXPECT_THROW(pool.parallel_for(1, 1, source.get_token(),
                                   [](std::size_t, std::size_t) { ADD_FAILURE(); }),
                 Cancelled);
  });
  source.request_stop();
  second.join();
  release.count_down();
  first.join();
}

TEST(ThreadPool, ALoopInsideALoopOfTheSamePoolIsOurBug) {
  ThreadPool pool(2);
  EXPECT_THROW(pool.parallel_for(2, 1,
                                 [&](std::size_t, std::size_t) {
                                   pool.parallel_for(2, 1, [](std::size_t, std::size_t) {});
                                 }),
               InternalError);
  ThreadPool other(2);
  std::atomic<int> items{0};
  pool.parallel_for(2, 1, [&](std::size_t, std::size_t) {
    other.parallel_for(2, 1, [&](std::size_t, std::size_t) { ++items; });
  });
  EXPECT_EQ(items, 4);
}

TEST(ThreadPool, RefusesAnImpossibleNumberOfThreads) {
  EXPECT_THROW(ThreadPool(-1), Error);
  EXPECT_THROW(ThreadPool(100000), Error);
  EXPECT_EQ(ThreadPool(0).threads(), available_cores());
  EXPECT_GE(available_cores(), 1);
}

}  // namespace
}  // namespace switchyard
