// A file system that breaks on purpose, around any other.
//
//   FaultyFileSystem fs(memory);
//   fs.fail(Operation::sync, 2);              // the second sync from now on fails with EIO
//   fs.limit_space(1000);                     // the disk is full after 1000 more bytes
//   fs.flip_bit("model.safetensors", 4096);   // reads of that byte see its lowest bit flipped
//
// To break a writer at every step, count once and fail each call in turn:
//
//   save(fs); const int calls = fs.calls();
//   for (int n = 0; n < calls; ++n) { memory = ...; fs.halt_after(n); EXPECT_THROW(save(fs),
//   Error); memory.drop_unsynced(); ... }
//
// Files opened through it have no descriptor, so no read can go around it. Thread rule: as
// FileSystem.
#pragma once

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "switchyard/file_system.h"

namespace switchyard::testing_support {

enum class Operation {
  open,
  read,
  create,  // and open_append
  append,
  sync,
  close,
  list,
  create_directories,
  rename,
  remove,  // and remove_all
  sync_directory,
};
inline constexpr std::size_t kOperations = 11;

class FaultyFileSystem final : public FileSystem {
 public:
  explicit FaultyFileSystem(FileSystem& base);

  // The n-th call (1 is the next) of this kind throws; later ones work again. A failed append wrote
  // nothing.
  void fail(Operation operation, int nth = 1, int error_number = EIO);
  // The program is killed after `n` more calls: every later one throws, tidying up included.
  void halt_after(int n);
  // After this many more appended bytes the disk is full: an append writes what fits and throws
  // ENOSPC.
  void limit_space(std::uint64_t bytes);
  // Reads that cover the byte at `offset` of files whose path ends in `path` see its lowest bit
  // flipped.
  void flip_bit(std::string path, std::uint64_t offset);
  // Files whose path ends in `path` keep their size(), but reads past `bytes` throw: cut after they
  // were opened.
  void cut(std::string path, std::uint64_t bytes);
  // Takes all faults away.
  void heal();

  // Calls so far, failed ones included. exists() and is_directory() are neither counted nor broken.
  int calls() const;
  int calls(Operation operation) const;

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

 private:
  class Faults;
  class Reader;
  class Writer;

  FileSystem& base_;
  std::shared_ptr<Faults> faults_;  // shared with open files
};

}  // namespace switchyard::testing_support
