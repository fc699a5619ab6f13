#include "support/memory_file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "switchyard/error.h"

namespace switchyard::testing_support {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

void append_text(WritableFile& file, const std::string& text) {
  file.append(std::as_bytes(std::span(text)));
}

TEST(MemoryFileSystem, HoldsFilesAndDirectories) {
  MemoryFileSystem fs;
  fs.create_directories("a/b");
  append_text(*fs.create("a/b/x"), "one");
  append_text(*fs.open_append("a/b/x"), "two");
  append_text(*fs.create("a/y"), "");
  EXPECT_EQ(read_file(fs, "a/./b/../b/x"), "onetwo");
  EXPECT_THAT(fs.list("a"), ElementsAre("b", "y"));
  EXPECT_THAT(fs.list("."), ElementsAre("a"));
  EXPECT_TRUE(fs.is_directory("a/b/"));
  EXPECT_FALSE(fs.is_directory("a/y"));
  fs.rename("a/y", "z");
  EXPECT_FALSE(fs.exists("a/y"));
  EXPECT_TRUE(fs.exists("z"));
  fs.remove("z");
  fs.remove("z");
  EXPECT_FALSE(fs.exists("z"));
  fs.remove_all("a");
  EXPECT_THAT(fs.list(""), ElementsAre());
}

TEST(MemoryFileSystem, ErrorsNameThePath) {
  MemoryFileSystem fs;
  fs.put("d/file", "12345");
  const auto where = [](const auto& action) {
    try {
      action();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THAT(where([&] { fs.open("nothing"); }), HasSubstr("no such file or directory (nothing)"));
  EXPECT_THAT(where([&] { fs.open("d"); }), HasSubstr("it is a directory (d)"));
  EXPECT_THAT(where([&] { fs.create("no/file"); }),
              HasSubstr("no such file or directory (no/file)"));
  EXPECT_THAT(where([&] { fs.create("d/file/x"); }), HasSubstr("a file, not a directory"));
  EXPECT_THAT(where([&] { fs.list("no"); }), HasSubstr("(no)"));
  EXPECT_THAT(where([&] { fs.rename("no", "d/x"); }), HasSubstr("no to d/x"));
  EXPECT_THAT(where([&] { fs.create_directories("d/file/e"); }), HasSubstr("exists already"));
  EXPECT_THAT(where([&] {
                std::byte out[3];
                fs.open("d/file")->read(3, out);
              }),
              HasSubstr("past the end of the file (d/file)"));
}

TEST(MemoryFileSystem, ACrashKeepsSyncedBytesOfNamedFiles) {
  MemoryFileSystem fs;
  const auto log = fs.create("log");
  append_text(*log, "kept ");
  log->sync();
  fs.sync_directory(".");
  append_text(*log, "lost");
  const auto unnamed = fs.create("unnamed");
  append_text(*unnamed, "synced, but its directory is not");
  unnamed->sync();
  fs.drop_unsynced();
  EXPECT_EQ(read_file(fs, "log"), "kept ");
  EXPECT_FALSE(fs.exists("unnamed"));
  EXPECT_THROW(append_text(*log, "from the dead"), Error);
}

TEST(MemoryFileSystem, ACrashUndoesRenamesAndRemovalsWithoutSync) {
  MemoryFileSystem fs;
  fs.put("d/a", "A");
  fs.put("d/b", "B");
  fs.rename("d/a", "d/b");
  EXPECT_EQ(read_file(fs, "d/b"), "A");
  fs.drop_unsynced();
  EXPECT_EQ(read_file(fs, "d/a"), "A");
  EXPECT_EQ(read_file(fs, "d/b"), "B");
  fs.remove("d/a");
  fs.drop_unsynced();
  EXPECT_TRUE(fs.exists("d/a"));
  fs.rename("d/a", "d/b");
  fs.sync_directory("d");
  fs.drop_unsynced();
  EXPECT_FALSE(fs.exists("d/a"));
  EXPECT_EQ(read_file(fs, "d/b"), "A");
}

TEST(MemoryFileSystem, TruncatingLosesTheOldBytes) {
  MemoryFileSystem fs;
  fs.put("state", "old");
  append_text(*fs.create("state"), "new");
  fs.drop_unsynced();
  EXPECT_EQ(read_file(fs, "state"), "");
}

TEST(MemoryFileSystem, AnOpenFileOutlivesItsNameAndItsFileSystem) {
  std::shared_ptr<ReadableFile> file;
  {
    MemoryFileSystem fs;
    fs.put("x", "still here");
    file = fs.open("x");
    fs.remove("x");
  }
  std::string text(5, ' ');
  file->read(0, std::as_writable_bytes(std::span(text)));
  EXPECT_EQ(text, "still");
}

}  // namespace
}  // namespace switchyard::testing_support
