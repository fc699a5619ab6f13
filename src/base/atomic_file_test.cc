#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <vector>

#include "switchyard/error.h"
#include "switchyard/file_system.h"

#include "base/check.h"
#include "support/faulty_file_system.h"
#include "support/memory_file_system.h"
#include "support/temporary_directory.h"

namespace switchyard {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::FaultyFileSystem;
using testing_support::MemoryFileSystem;
using testing_support::Operation;
using testing_support::TemporaryDirectory;

// Larger than the buffer of AtomicFile, written in small and in large appends.
const std::string& new_content() {
  static const std::string content =
      std::string(300000, 'n') + std::string(700, 'e') + std::string(600000, 'w');
  return content;
}

void write_new_content(FileSystem& fs, const std::string& path) {
  AtomicFile file(fs, path);
  const std::string& content = new_content();
  file.append(content.substr(0, 100));
  file.append(content.substr(100, 600000));
  file.append(content.substr(600100));
  EXPECT_EQ(file.size(), content.size());
  file.commit();
}

TEST(AtomicFile, ReplacesTheWholeFile) {
  const TemporaryDirectory directory;
  FileSystem& fs = real_file_system();
  const std::string path = directory / "state";
  write_file_atomically(fs, path, "old");
  EXPECT_EQ(read_file(fs, path), "old");
  write_new_content(fs, path);
  EXPECT_EQ(read_file(fs, path), new_content());
  write_file_atomically(fs, path, "");
  EXPECT_EQ(read_file(fs, path), "");
  EXPECT_THAT(fs.list(directory.path()), ElementsAre("state"));
}

TEST(AtomicFile, NotCommittedIsDiscarded) {
  MemoryFileSystem fs;
  fs.put("state", "old");
  {
    AtomicFile file(fs, "state");
    file.append("new");
  }
  EXPECT_EQ(read_file(fs, "state"), "old");
  EXPECT_THAT(fs.list("."), ElementsAre("state"));
}

TEST(AtomicFile, CannotBeUsedAfterCommit) {
  MemoryFileSystem fs;
  AtomicFile file(fs, "state");
  file.commit();
  EXPECT_THROW(file.append("more"), InternalError);
  EXPECT_THROW(file.commit(), InternalError);
}

TEST(AtomicFile, AnyFailureLeavesTheOldFileAndNoTemporary) {
  for (const Operation operation : {Operation::create, Operation::append, Operation::sync,
                                    Operation::close, Operation::rename}) {
    for (int nth = 1; nth <= (operation == Operation::append ? 2 : 1); ++nth) {
      MemoryFileSystem memory;
      memory.put("state", "old");
      FaultyFileSystem fs(memory);
      fs.fail(operation, nth);
      EXPECT_THROW(write_new_content(fs, "state"), Error);
      EXPECT_EQ(read_file(memory, "state"), "old");
      EXPECT_THAT(memory.list("."), ElementsAre("state"));
    }
  }
}

TEST(AtomicFile, AFullDiskIsToldAndItsSpaceGivenBackAtOnce) {
  MemoryFileSystem memory;
  FaultyFileSystem fs(memory);
  fs.limit_space(400000);
  AtomicFile file(fs, "state");
  try {
    file.append(new_content());
    FAIL() << "more was written than fits";
  } catch (const Error& error) {
    EXPECT_THAT(error.parts().what, HasSubstr("the disk is full"));
  }
  EXPECT_THAT(memory.list("."), ElementsAre());
}

TEST(AtomicFile, AKillAtAnyStepThenACrashLeavesOldOrNew) {
  const auto attempt = [](int steps) {
    MemoryFileSystem memory;
    memory.put("d/state", "old");
    FaultyFileSystem fs(memory);
    fs.halt_after(steps);
    bool done = true;
    try {
      write_new_content(fs, "d/state");
    } catch (const Error&) {
      done = false;
    }
    memory.drop_unsynced();
    const std::string after = read_file(memory, "d/state");
    EXPECT_TRUE(after == "old" || after == new_content()) << after.size();
    EXPECT_TRUE(!done || after == new_content()) << "a commit that returned must last";
    remove_stale_temporaries(memory, "d");
    EXPECT_THAT(memory.list("d"), ElementsAre("state"));
    return done;
  };
  int steps = 0;
  while (!attempt(steps)) ++steps;
  EXPECT_GE(steps, 6);  // create, append, sync, close, rename, sync_directory
}

TEST(AtomicFile, StaleTemporariesAreTakenAndNothingElse) {
  MemoryFileSystem fs;
  fs.put("d/model.tmp-0123456789abcdef", "stale");
  fs.put("d/model.tmp-0123456789abcde", "short");
  fs.put("d/model.tmp-0123456789abcdeX", "not hex");
  fs.put("d/model", "keep");
  remove_stale_temporaries(fs, "d");
  EXPECT_THAT(fs.list("d"), testing::UnorderedElementsAre("model", "model.tmp-0123456789abcdeX",
                                                          "model.tmp-0123456789abcde"));
}

TEST(AtomicFile, WorksInTheCurrentAndTheRootDirectory) {
  MemoryFileSystem fs;
  write_file_atomically(fs, "here", "1");
  write_file_atomically(fs, "/root", "2");
  fs.drop_unsynced();
  EXPECT_EQ(read_file(fs, "here"), "1");
  EXPECT_EQ(read_file(fs, "/root"), "2");
}

}  // namespace
}  // namespace switchyard
