// A file system in memory that knows what would survive a crash, on the pessimistic reading of
// POSIX:
// - the bytes of a file survive as of its last sync(); truncating a file loses its old bytes at
// once;
// - that a name refers to a file (creation, rename, removal) survives as of the last
// sync_directory() of its directory;
// - directories themselves survive at once, because no writer of ours creates one it cannot create
// again.
//
//   MemoryFileSystem fs;
//   write_file_atomically(fs, "state", "old");
//   fs.create("state.new")->append(bytes);      // neither synced nor named for good
//   fs.drop_unsynced();                         // the machine loses power
//   read_file(fs, "state") == "old"; fs.exists("state.new") == false
//
// Paths are compared after lexical normalisation; there are no links and no permissions. Errors are
// those of the real file system. Thread rule: as FileSystem.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "switchyard/file_system.h"

#include "base/free_space.h"

namespace switchyard::testing_support {

class MemoryFileSystem final : public FileSystem, public FreeSpace {
 public:
  MemoryFileSystem();

  std::shared_ptr<ReadableFile> open(const std::string& path,
                                     ReadMode mode = ReadMode::buffered) override;
  std::unique_ptr<WritableFile> create(const std::string& path) override;
  std::unique_ptr<WritableFile> open_append(const std::string& path) override;
  bool exists(const std::string& path) override;
  bool is_directory(const std::string& path) override;
  std::vector<std::string> list(const std::string& directory) override;
  void create_directories(const std::string& path) override;
  void rename(const std::string& from, const std::string& to) override;
  void remove(const std::string& path) override;
  void remove_all(const std::string& directory) override;
  void sync_directory(const std::string& directory) override;
  std::uint64_t free_bytes(const std::string& directory) const override;

  // What free_bytes() answers, whatever is written: without limit before.
  void say_free(std::uint64_t bytes) { free_bytes_ = bytes; }

  // Puts a file there that survives crashes, with the directories above it.
  void put(const std::string& path, std::string_view content);

  // A crash: everything that was not synced is gone. Writers opened before it throw from then on.
  void drop_unsynced();

 private:
  struct File;
  struct Shared;
  class Reader;
  class Writer;
  using Names = std::map<std::string, std::shared_ptr<File>>;

  // All below: the mutex is held, paths are normalised.
  bool known_directory(const std::string& path) const { return directories_.contains(path); }
  void require_parent(const std::string& path, std::string_view doing) const;
  std::shared_ptr<File> open_for_writing(const std::string& path);

  std::shared_ptr<Shared> shared_;  // outlives the file system in open files
  Names names_;                     // as seen now
  Names durable_names_;             // as seen after a crash
  std::set<std::string> directories_;
  std::uint64_t free_bytes_ = ~std::uint64_t{0};
};

}  // namespace switchyard::testing_support
