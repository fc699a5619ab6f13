// Both readers: the same bytes, the same failures.
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mutex>
#include <random>
#include <unistd.h>

#include "switchyard/experts.h"

#include "experts/async_reader.h"
#include "experts/slot_memory.h"
#include "experts/test_store.h"
#include "support/errors.h"
#include "support/temporary_directory.h"

namespace switchyard::experts {
namespace {

using switchyard::testing_support::error_of;
using switchyard::testing_support::TemporaryDirectory;
using ::testing::HasSubstr;
using testing_support::pattern;
using testing_support::TestStore;
using testing_support::WatchedFile;

constexpr std::uint64_t kFileBytes = 300'001;  // not a multiple of anything

// Collects what a reader reports.
class Results {
 public:
  struct Result {
    std::uint64_t bytes = 0;
    std::string failure{};
  };
  AsyncReader::Done callback() {
    return [this](void* tag, std::uint64_t bytes, const std::string& failure) {
      const std::lock_guard lock(mutex_);
      *static_cast<Result*>(tag) = {bytes, failure};
      ++count_;
      changed_.notify_all();
    };
  }
  void wait_for(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return count_ >= count; });
    count_ -= count;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

class Readers : public ::testing::TestWithParam<std::tuple<IoBackend, ReadMode>> {
 protected:
  Readers() {
    const auto out = real_file_system().create(path_);
    std::vector<std::byte> bytes(kFileBytes);
    for (std::uint64_t i = 0; i < kFileBytes; ++i) bytes[i] = pattern(i);
    out->append(bytes);
    out->close();
    file_ = real_file_system().open(path_, std::get<ReadMode>(GetParam()));
    std::vector<std::vector<Slab>> slabs(1);
    slabs[0].push_back({.extents = {{0, 0, kFileBytes}}});
    store_ = std::make_shared<Store>(std::vector<std::shared_ptr<ReadableFile>>{file_}, slabs);
  }

  // Null where the system has no io_uring; other tests show that a cache then falls back.
  std::unique_ptr<AsyncReader> reader(int depth) {
    try {
      return make_reader(std::get<IoBackend>(GetParam()), *store_, depth, results_.callback());
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("io_uring is not available"));
      return nullptr;
    }
  }

  TemporaryDirectory directory_;
  std::string path_ = directory_ / "data.bin";
  std::shared_ptr<ReadableFile> file_;
  std::shared_ptr<const Store> store_;
  Results results_;
};

TEST_P(Readers, ReadManyPiecesAtOnce) {
  const auto reader = this->reader(8);
  if (!reader) GTEST_SKIP() << "no io_uring on this system";
  const std::uint64_t step = file_->alignment();
  SlotBuffer buffer(8 * 65'536);
  std::mt19937 random(1);
  for (int round = 0; round < 100; ++round) {
    std::vector<Read> reads;
    std::vector<Results::Result> results(static_cast<std::size_t>(reader->depth()));
    for (std::size_t i = 0; i < results.size(); ++i) {
      const std::uint64_t offset = random() % kFileBytes / step * step;
      const std::uint64_t bytes = (1 + random() % 65'536 + step - 1) / step * step;
      const std::uint64_t needed = std::min(bytes, kFileBytes - offset);
      // Only a direct read may reach past the end.
      reads.push_back({.file = file_.get(),
                       .offset = offset,
                       .into = buffer.data() + i * 65'536,
                       .bytes = step == 1 ? needed : std::min<std::uint64_t>(bytes, 65'536),
                       .needed = std::min<std::uint64_t>(needed, 65'536),
                       .tag = &results[i]});
    }
    reader->submit(reads);
    results_.wait_for(static_cast<int>(reads.size()));
    for (std::size_t i = 0; i < reads.size(); ++i) {
      EXPECT_EQ(results[i].failure, "");
      EXPECT_GE(results[i].bytes, reads[i].needed);
      for (std::uint64_t k = 0; k < reads[i].needed; ++k) {
        ASSERT_EQ(reads[i].into[k], pattern(reads[i].offset + k));
      }
    }
  }
}

TEST_P(Readers, AFileThatWasCutIsAFailure) {
  const auto reader = this->reader(2);
  if (!reader) GTEST_SKIP() << "no io_uring on this system";
  ASSERT_EQ(::truncate(path_.c_str(), 10'000), 0);
  SlotBuffer buffer(16'384);
  for (const auto& [offset, cut] : {std::pair{8192u, true}, {12'288u, true}, {4096u, false}}) {
    Results::Result result;
    const Read read = {.file = file_.get(),
                       .offset = offset,
                       .into = buffer.data(),
                       .bytes = 4096,
                       .needed = 4096,
                       .tag = &result};
    reader->submit({&read, 1});
    results_.wait_for(1);
    EXPECT_EQ(result.failure.empty(), !cut) << offset << result.failure;
    if (cut) {
      EXPECT_THAT(result.failure, HasSubstr("the file ends before byte"));
    }
  }
}

TEST_P(Readers, AnErrorOfTheSystemIsAFailure) {
  const auto reader = this->reader(2);
  if (!reader) GTEST_SKIP() << "no io_uring on this system";
  Results::Result result;
  // Memory that is not there.
  const Read read = {.file = file_.get(),
                     .offset = 0,
                     .into = reinterpret_cast<std::byte*>(4096),
                     .bytes = 4096,
                     .needed = 4096,
                     .tag = &result};
  reader->submit({&read, 1});
  results_.wait_for(1);
  EXPECT_THAT(result.failure, HasSubstr("Bad address"));
  EXPECT_EQ(result.bytes, 0u);
}

// Whoever submits may end before the read does.
TEST_P(Readers, SubmittersMayComeAndGo) {
  const auto reader = this->reader(4);
  if (!reader) GTEST_SKIP() << "no io_uring on this system";
  SlotBuffer buffer(65'536);
  for (int round = 0; round < 50; ++round) {
    Results::Result result;
    std::thread([&] {
      const Read read = {.file = file_.get(),
                         .offset = 65'536,
                         .into = buffer.data(),
                         .bytes = 65'536,
                         .needed = 65'536,
                         .tag = &result};
      reader->submit({&read, 1});
    }).join();
    results_.wait_for(1);
    ASSERT_EQ(result.failure, "");
    ASSERT_EQ(buffer.data()[65'535], pattern(131'071));
  }
}

std::string case_name(const ::testing::TestParamInfo<Readers::ParamType>& info) {
  const auto [backend, mode] = info.param;
  return std::string(backend == IoBackend::io_uring ? "io_uring" : "pread") +
         (mode == ReadMode::direct ? "_direct" : "_buffered");
}
INSTANTIATE_TEST_SUITE_P(
    Experts, Readers,
    ::testing::Combine(::testing::Values(IoBackend::io_uring, IoBackend::pread),
                       ::testing::Values(ReadMode::direct, ReadMode::buffered)),
    case_name);

TEST(MakeReader, AFileInMemoryIsReadByThreads) {
  TestStore files(1, 2);
  const auto ignore = [](void*, std::uint64_t, const std::string&) {};
  EXPECT_EQ(make_reader(IoBackend::automatic, *files.store, 16, ignore)->name(), "pread");
  EXPECT_EQ(make_reader(IoBackend::pread, *files.store, 3, ignore)->depth(), 3);
  const auto error = error_of([&] { make_reader(IoBackend::io_uring, *files.store, 16, ignore); });
  EXPECT_EQ(error.what, "io_uring cannot read a file without a descriptor");
  EXPECT_EQ(error.where, "watched.bin");
}

// The cache says which of the two it came to.
TEST(MakeReader, AutomaticComesToOneOfTheTwo) {
  const TemporaryDirectory directory;
  const auto out = real_file_system().create(directory / "x");
  out->append(std::vector<std::byte>(8192));
  out->close();
  std::vector<std::vector<Slab>> slabs(1);
  slabs[0].push_back({.extents = {{0, 0, 8192}}});
  const auto store =
      std::make_shared<Store>(std::vector<std::shared_ptr<ReadableFile>>{real_file_system().open(
                                  directory / "x", ReadMode::direct)},
                              slabs);
  Cache cache(store, {.budget = 8192});
  EXPECT_THAT(std::string(cache.io_backend_name()), ::testing::AnyOf("io_uring", "pread"));
  EXPECT_EQ(cache.acquire(0, std::vector{0u})[0].part(0).size(), 8192u);
  Cache threads(store, {.budget = 8192, .io = IoBackend::pread});
  EXPECT_EQ(threads.io_backend_name(), "pread");
}

}  // namespace
}  // namespace switchyard::experts
