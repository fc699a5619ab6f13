// Random operations from several threads; whatever happens, the promises hold.
#include <atomic>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>
#include <thread>

#include "switchyard/experts.h"

#include "experts/test_store.h"
#include "support/temporary_directory.h"

namespace switchyard::experts {
namespace {

using testing_support::bytes_are_right;
using testing_support::pattern;
using testing_support::TestStore;

struct Scenario {
  std::uint64_t budget_pages;
  int queue_depth;
  const char* policy;
  bool failures;
};

// Slabs of a third of a page to three pages.
std::vector<std::vector<std::uint64_t>> mixed_sizes() {
  std::mt19937 random(11);
  std::vector<std::vector<std::uint64_t>> sizes(4, std::vector<std::uint64_t>(8));
  for (auto& layer : sizes) {
    for (auto& bytes : layer) bytes = 1 + random() % (3 * 4096);
  }
  return sizes;
}

class Caller {
 public:
  Caller(Cache& cache, const Store& store, unsigned seed, std::uint64_t budget)
      : cache_(cache), store_(store), random_(seed), budget_(budget) {}

  void run(int calls) {
    for (int i = 0; i < calls; ++i) {
      const auto layer = static_cast<std::uint32_t>(random_() % store_.layers());
      try {
        one_call(layer);
      } catch (const Error&) {
        ++failures;
      } catch (const Cancelled&) {
        ++stops;
      }
      if (cache_.stats().peak_bytes > budget_) ++over_budget;
    }
  }

  int failures = 0;
  int stops = 0;
  int wrong = 0;
  int over_budget = 0;
  std::uint64_t handed_out = 0;

 private:
  std::vector<std::uint32_t> some(std::uint32_t layer, std::size_t most) {
    std::vector<std::uint32_t> list(1 + random_() % most);
    for (auto& expert : list) {
      expert = static_cast<std::uint32_t>(random_() % store_.experts(layer));
    }
    return list;
  }

  void check(const Pin& pin) {
    ++handed_out;
    if (!bytes_are_right(store_, pin)) ++wrong;
  }

  void one_call(std::uint32_t layer) {
    std::stop_source stop;
    switch (random_() % 8) {
      case 0:
        cache_.prefetch(layer, some(layer, 8));
        return;
      case 1: {
        const std::jthread stopper([&] { stop.request_stop(); });
        for (const Pin& pin : cache_.acquire(layer, some(layer, 1), stop.get_token())) check(pin);
        return;
      }
      case 2:
      case 3:
      case 4:
        cache_.acquire_each(layer, some(layer, 8), [&](auto, auto pins) {
          for (const Pin& pin : pins) check(pin);
        });
        return;
      default:
        for (const Pin& pin : cache_.acquire(layer, some(layer, cache_.wave_size(layer)))) {
          check(pin);
        }
    }
  }

  Cache& cache_;
  const Store& store_;
  std::mt19937 random_;
  std::uint64_t budget_;
};

class CacheStress : public ::testing::TestWithParam<Scenario> {};

TEST_P(CacheStress, BytesAreRightTheBudgetHoldsAndEveryCallEnds) {
  const Scenario scenario = GetParam();
  TestStore files(mixed_sizes());
  const std::uint64_t budget = scenario.budget_pages * 4096;
  if (scenario.failures) {
    files.file->fail(files.offset(1, 3));
    files.file->fail(files.offset(2, 0));
    files.file->corrupt(files.offset(0, 5) + 1);
  }
  Cache cache(files.store, {.budget = budget,
                            .policy = scenario.policy,
                            .queue_depth = scenario.queue_depth,
                            .read_chunk = 4096});
  std::vector<Caller> callers;
  for (unsigned i = 0; i < 4; ++i) callers.emplace_back(cache, *files.store, i, budget);
  {
    std::vector<std::jthread> threads;
    for (Caller& caller : callers) threads.emplace_back([&] { caller.run(300); });
  }
  std::uint64_t handed_out = 0;
  for (const Caller& caller : callers) {
    EXPECT_EQ(caller.wrong, 0);
    EXPECT_EQ(caller.over_budget, 0);
    EXPECT_EQ(caller.failures > 0, scenario.failures);
    handed_out += caller.handed_out;
  }
  const CacheStats stats = cache.stats();
  EXPECT_LE(stats.resident_bytes, budget);
  EXPECT_GE(stats.hits + stats.late_hits + stats.misses, handed_out);
  EXPECT_LE(stats.useless_prefetches, stats.prefetches);

  // Nothing stayed pinned: the whole budget can be had.
  files.file->heal();
  for (std::uint32_t layer = 0; layer < 4; ++layer) {
    std::vector<std::uint32_t> wave(cache.wave_size(layer));
    for (std::size_t i = 0; i < wave.size(); ++i) wave[i] = static_cast<std::uint32_t>(i);
    for (const Pin& pin : cache.acquire(layer, wave)) {
      EXPECT_TRUE(bytes_are_right(*files.store, pin));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Experts, CacheStress,
                         ::testing::Values(Scenario{3, 1, "lru", false},
                                           Scenario{5, 4, "lfu-decay", false},
                                           Scenario{20, 8, "lru", false},
                                           Scenario{20, 2, "lfu-decay", true},
                                           Scenario{1000, 16, "lru", true}));

// The same over a file on disk, read by whatever the system offers.
TEST(CacheStressOnDisk, BothReadersHandOutTheSameBytes) {
  const testing_support::TestStore shape(mixed_sizes());
  const switchyard::testing_support::TemporaryDirectory directory;
  std::vector<std::byte> bytes(shape.file->size());
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = pattern(i);
  const auto out = real_file_system().create(directory / "slabs");
  out->append(bytes);
  out->close();
  std::vector<std::vector<Slab>> slabs;
  for (std::uint32_t layer = 0; layer < shape.store->layers(); ++layer) {
    slabs.emplace_back();
    for (std::uint32_t expert = 0; expert < shape.store->experts(layer); ++expert) {
      slabs.back().push_back(shape.store->slab({layer, expert}));
    }
  }
  for (const IoBackend backend : {IoBackend::automatic, IoBackend::pread}) {
    const auto store =
        std::make_shared<Store>(std::vector<std::shared_ptr<ReadableFile>>{real_file_system().open(
                                    directory / "slabs", ReadMode::direct)},
                                slabs);
    const std::uint64_t budget = 20 * 4096;
    Cache cache(store, {.budget = budget, .io = backend, .read_chunk = 4096});
    std::vector<Caller> callers;
    for (unsigned i = 0; i < 3; ++i) callers.emplace_back(cache, *store, i, budget);
    {
      std::vector<std::jthread> threads;
      for (Caller& caller : callers) threads.emplace_back([&] { caller.run(150); });
    }
    for (const Caller& caller : callers) {
      EXPECT_EQ(caller.wrong, 0);
      EXPECT_EQ(caller.over_budget, 0);
      EXPECT_EQ(caller.failures, 0);
    }
  }
}

}  // namespace
}  // namespace switchyard::experts
