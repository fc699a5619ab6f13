#include "switchyard/file_system.h"

#include <array>
#include <fcntl.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "switchyard/error.h"

#include "support/temporary_directory.h"

namespace switchyard {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::TemporaryDirectory;

std::vector<std::byte> pattern(std::size_t bytes) {
  std::vector<std::byte> data(bytes);
  for (std::size_t i = 0; i < bytes; ++i)
    data[i] = static_cast<std::byte>((i * 31 + i / 4096) & 0xff);
  return data;
}

template <typename Action>
Error::Parts error_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.parts();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

class RealFileSystem : public testing::Test {
 protected:
  FileSystem& fs_ = real_file_system();
  TemporaryDirectory directory_;
};

TEST_F(RealFileSystem, WritesAppendsAndReads) {
  const std::string path = directory_ / "x";
  const auto file = fs_.create(path);
  file->append(std::as_bytes(std::span("one", 3)));
  file->sync();
  file->close();
  file->close();  // no effect
  EXPECT_THROW(file->append(pattern(1)), Error);
  fs_.open_append(path)->append(std::as_bytes(std::span("two", 3)));
  EXPECT_EQ(read_file(fs_, path), "onetwo");
  EXPECT_EQ(fs_.open(path)->size(), 6u);
  fs_.create(path);
  EXPECT_EQ(read_file(fs_, path), "");
}

TEST_F(RealFileSystem, ReadsAnyRangeInBothModes) {
  const std::size_t size =
      (std::size_t{1} << 20) * 2 + 4096 + 77;  // more than one bounce buffer, odd end
  const auto data = pattern(size);
  const std::string path = directory_ / "x";
  fs_.create(path)->append(data);
  for (const ReadMode mode : {ReadMode::buffered, ReadMode::direct}) {
    const auto file = fs_.open(path, mode);
    EXPECT_GE(file->descriptor(), 0);
    EXPECT_EQ(::fcntl(file->descriptor(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_FALSE(mode == ReadMode::buffered && file->direct());
    EXPECT_EQ(file->alignment(), file->direct() ? 4096u : 1u);
    const std::array<std::pair<std::size_t, std::size_t>, 8> ranges{{{0, size},
                                                                     {0, 4096},
                                                                     {1, 1},
                                                                     {4095, 2},
                                                                     {size - 1, 1},
                                                                     {size, 0},
                                                                     {4096, size - 4096},
                                                                     {3, (1 << 20) + 9}}};
    for (const auto& [offset, bytes] : ranges) {
      std::vector<std::byte> out(bytes);
      file->read(offset, out);
      EXPECT_TRUE(
          std::equal(out.begin(), out.end(), data.begin() + static_cast<std::ptrdiff_t>(offset)))
          << offset << " + " << bytes;
    }
    std::vector<std::byte> out(2);
    EXPECT_THAT(error_of([&] { file->read(size - 1, out); }).where, path);
    EXPECT_THROW(file->read(~std::uint64_t{0}, out), Error);
  }
}

TEST_F(RealFileSystem, AlignedDirectReadsNeedNoCopy) {
  const auto data = pattern(3 * 4096);
  const std::string path = directory_ / "x";
  fs_.create(path)->append(data);
  const auto file = fs_.open(path, ReadMode::direct);
  alignas(4096) static std::array<std::byte, 8192> out;
  file->read(4096, out);
  EXPECT_TRUE(std::equal(out.begin(), out.end(), data.begin() + 4096));
}

TEST_F(RealFileSystem, AFileCutAfterOpeningIsAnError) {
  const std::string path = directory_ / "x";
  fs_.create(path)->append(pattern(100000));
  const auto file = fs_.open(path);
  const auto direct = fs_.open(path, ReadMode::direct);
  ASSERT_EQ(::truncate(path.c_str(), 5000), 0);
  std::vector<std::byte> out(50000);
  EXPECT_THAT(error_of([&] { file->read(0, out); }).what, HasSubstr("past the end"));
  EXPECT_THAT(error_of([&] { direct->read(1, out); }).what, HasSubstr("past the end"));
}

TEST_F(RealFileSystem, ErrorsSayWhatWhereAndWhatToDo) {
  const auto missing = error_of([&] { fs_.open(directory_ / "no"); });
  EXPECT_EQ(missing.what, "cannot open: no such file or directory");
  EXPECT_EQ(missing.where, directory_ / "no");
  EXPECT_EQ(missing.fix, "check the path");
  EXPECT_THAT(error_of([&] { fs_.open(directory_.path()); }).what, HasSubstr("it is a directory"));
  EXPECT_THAT(error_of([&] { fs_.create(directory_ / "no/x"); }).what, HasSubstr("no such file"));
  EXPECT_THAT(error_of([&] { fs_.list(directory_ / "no"); }).what, HasSubstr("cannot list"));
  EXPECT_THAT(error_of([&] { fs_.rename(directory_ / "no", directory_ / "x"); }).what,
              HasSubstr("cannot rename"));
  EXPECT_THAT(error_of([&] { fs_.sync_directory(directory_ / "no"); }).where, directory_ / "no");
  EXPECT_THAT(error_of([&] { fs_.remove(directory_.path()); }).what, HasSubstr("cannot remove"));
  fs_.create(directory_ / "file");
  EXPECT_THAT(error_of([&] { fs_.create_directories(directory_ / "file"); }).what,
              HasSubstr("cannot create the directory"));
  EXPECT_THAT(error_of([&] { fs_.create_directories(directory_ / "file/d"); }).what,
              HasSubstr("not a directory"));
  EXPECT_THAT(error_of([&] { fs_.open(std::string(5000, 'x')); }).what, HasSubstr("too long"));
}

TEST_F(RealFileSystem, APipeIsRefusedWithoutWaitingForItsWriter) {
  const std::string path = directory_ / "pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_THAT(error_of([&] { fs_.open(path); }).what, HasSubstr("pipe"));
}

TEST_F(RealFileSystem, AFullDiskIsToldAsSuch) {
  if (!fs_.exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const auto parts = error_of([&] { fs_.open_append("/dev/full")->append(pattern(10)); });
  EXPECT_EQ(parts.what, "cannot write: the disk is full");
  EXPECT_EQ(parts.where, "/dev/full");
  EXPECT_THAT(parts.fix, HasSubstr("free some space"));
}

TEST_F(RealFileSystem, Directories) {
  fs_.create_directories(directory_ / "a/b/c");
  fs_.create_directories(directory_ / "a/b/c");
  fs_.create(directory_ / "a/z");
  EXPECT_THAT(fs_.list(directory_ / "a"), ElementsAre("b", "z"));
  EXPECT_TRUE(fs_.is_directory(directory_ / "a/b"));
  EXPECT_FALSE(fs_.is_directory(directory_ / "a/z"));
  EXPECT_FALSE(fs_.is_directory(directory_ / "no"));
  EXPECT_TRUE(fs_.exists(directory_ / "a/z"));
  EXPECT_FALSE(fs_.exists(directory_ / "a/z/under-a-file"));
  EXPECT_FALSE(fs_.is_directory(directory_ / "a/z/under-a-file"));
  EXPECT_NO_THROW(fs_.sync_directory(directory_ / "a"));
  fs_.rename(directory_ / "a/z", directory_ / "y");
  fs_.remove(directory_ / "y");
  fs_.remove(directory_ / "y");
  fs_.remove_all(directory_ / "a");
  fs_.remove_all(directory_ / "a");
  EXPECT_THAT(fs_.list(directory_.path()), ElementsAre());
}

TEST_F(RealFileSystem, ReadFileHasALimit) {
  fs_.create(directory_ / "x")->append(pattern(11));
  EXPECT_EQ(read_file(fs_, directory_ / "x", 11).size(), 11u);
  const auto parts = error_of([&] { read_file(fs_, directory_ / "x", 10); });
  EXPECT_THAT(parts.what, HasSubstr("11 bytes"));
  EXPECT_THAT(parts.expected, HasSubstr("at most 10"));
}

}  // namespace
}  // namespace switchyard
