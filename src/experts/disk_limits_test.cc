#include "experts/disk_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "switchyard/error.h"

#include "experts/test_store.h"
#include "support/errors.h"
#include "support/temporary_directory.h"

namespace switchyard::experts {
namespace {

using switchyard::testing_support::error_of;
using switchyard::testing_support::TemporaryDirectory;

TEST(DiskLimits, MeasureADirectoryAndLeaveNothingInIt) {
  const TemporaryDirectory directory;
  EXPECT_GT(measure_direct_read_gbps(directory.path(), 9 << 20), 0);
  EXPECT_TRUE(real_file_system().list(directory.path()).empty());
}

TEST(DiskLimits, MeasureAFileOfAnyLength) {
  const TemporaryDirectory directory;
  const TemporaryFile file(directory.path(), (5 << 20) + 12'345);
  EXPECT_GT(measure_direct_read_gbps(file.path()), 0);
  const auto buffered = real_file_system().open(file.path());
  const DiskLimit limit = measure_sequential_reads(buffered, 1 << 20, IoBackend::pread);
  EXPECT_FALSE(limit.direct);
  EXPECT_EQ(limit.io_backend, "pread");
}

TEST(DiskLimits, AFailingOrEmptyFileIsAnError) {
  const auto failing = std::make_shared<testing_support::WatchedFile>(8 << 20);
  failing->fail(1 << 20);
  EXPECT_THAT(error_of([&] { measure_sequential_reads(failing); }).what,
              ::testing::HasSubstr("the disk is on fire"));
  const auto empty = std::make_shared<testing_support::WatchedFile>(0);
  EXPECT_EQ(error_of([&] { measure_sequential_reads(empty); }).where, "watched.bin");
}

}  // namespace
}  // namespace switchyard::experts
