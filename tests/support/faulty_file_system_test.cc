#include "support/faulty_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "switchyard/error.h"

#include "support/memory_file_system.h"

namespace switchyard::testing_support {
namespace {

using testing::HasSubstr;

void append_text(WritableFile& file, const std::string& text) {
  file.append(std::as_bytes(std::span(text)));
}

TEST(FaultyFileSystem, PassesEverythingThroughAndCounts) {
  MemoryFileSystem memory;
  FaultyFileSystem fs(memory);
  fs.create_directories("d");
  write_file_atomically(fs, "d/x", "content");
  EXPECT_EQ(read_file(fs, "d/x"), "content");
  EXPECT_THAT(fs.list("d"), testing::ElementsAre("x"));
  EXPECT_TRUE(fs.exists("d/x"));
  EXPECT_TRUE(fs.is_directory("d"));
  EXPECT_EQ(fs.calls(Operation::sync), 1);
  EXPECT_EQ(fs.calls(Operation::rename), 1);
  EXPECT_EQ(fs.calls(Operation::read), 1);
  // create_directories; create append sync close rename sync_directory; open read; list
  EXPECT_EQ(fs.calls(), 10);
}

TEST(FaultyFileSystem, FailsTheCallAskedForOnly) {
  MemoryFileSystem memory;
  FaultyFileSystem fs(memory);
  fs.create("before");
  fs.fail(Operation::create, 2, EACCES);
  EXPECT_NO_THROW(fs.create("first"));
  try {
    fs.create("second");
    FAIL() << "did not fail";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("permission denied (second)"));
  }
  EXPECT_FALSE(memory.exists("second"));
  EXPECT_NO_THROW(fs.create("third"));
}

TEST(FaultyFileSystem, AFullDiskTakesWhatFits) {
  MemoryFileSystem memory;
  FaultyFileSystem fs(memory);
  fs.limit_space(5);
  const auto file = fs.create("x");
  append_text(*file, "abc");
  try {
    append_text(*file, "defg");
    FAIL() << "did not fail";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("the disk is full (x)"));
  }
  EXPECT_EQ(read_file(memory, "x"), "abcde");
  fs.heal();
  EXPECT_NO_THROW(append_text(*file, "f"));
}

TEST(FaultyFileSystem, AfterAHaltNothingWorks) {
  MemoryFileSystem memory;
  FaultyFileSystem fs(memory);
  fs.halt_after(1);
  const auto file = fs.create("x");
  EXPECT_THROW(append_text(*file, "a"), Error);
  EXPECT_THROW(file->sync(), Error);
  EXPECT_THROW(fs.remove("x"), Error);
  EXPECT_TRUE(memory.exists("x"));
}

TEST(FaultyFileSystem, DamagesReads) {
  MemoryFileSystem memory;
  FaultyFileSystem fs(memory);
  memory.put("d/x", "abcdef");
  memory.put("d/y", "abcdef");
  fs.flip_bit("x", 2);
  EXPECT_EQ(read_file(fs, "d/x"), "abbdef");
  EXPECT_EQ(read_file(fs, "d/y"), "abcdef");
  std::string text(2, ' ');
  fs.open("d/x")->read(3, std::as_writable_bytes(std::span(text)));
  EXPECT_EQ(text, "de");

  fs.cut("y", 4);
  const auto cut = fs.open("d/y");
  EXPECT_EQ(cut->size(), 6u);
  EXPECT_EQ(cut->descriptor(), -1);
  EXPECT_NO_THROW(cut->read(2, std::as_writable_bytes(std::span(text))));
  EXPECT_THROW(cut->read(3, std::as_writable_bytes(std::span(text))), Error);
}

}  // namespace
}  // namespace switchyard::testing_support
