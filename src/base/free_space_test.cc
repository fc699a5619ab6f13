#include "base/free_space.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/errors.h"
#include "support/memory_file_system.h"
#include "support/temporary_directory.h"

namespace switchyard {
namespace {

using ::testing::HasSubstr;
using testing_support::error_of;

TEST(FreeSpaceTest, RealDisksTell) {
  const testing_support::TemporaryDirectory directory;
  FileSystem& fs = real_file_system();
  EXPECT_NO_THROW(require_space(fs, directory / "a", 1));
  EXPECT_NO_THROW(require_space(fs, "a", 1));
  EXPECT_NO_THROW(require_space(fs, "/a", 1));
  const auto full = error_of([&] { require_space(fs, directory / "a", std::uint64_t{1} << 62); });
  EXPECT_EQ(full.where, directory / "a");
  EXPECT_THAT(full.what, HasSubstr("the disk has"));
  EXPECT_THAT(full.expected, HasSubstr("iB"));
  EXPECT_THAT(error_of([&] { require_space(fs, directory / "none/a", 1); }).where,
              HasSubstr("none"));
}

TEST(FreeSpaceTest, TheLastByteCounts) {
  testing_support::MemoryFileSystem fs;
  fs.say_free(1000);
  EXPECT_NO_THROW(require_space(fs, "a", 1000));
  EXPECT_THAT(error_of([&] { require_space(fs, "a", 1001); }).what, HasSubstr("1000 B left"));
}

}  // namespace
}  // namespace switchyard
