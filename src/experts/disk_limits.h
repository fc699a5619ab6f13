// What the disk can do: the limit that the rate of expert reads is compared with.
#pragma once

#include <cstdint>
#include <string>

#include "switchyard/experts.h"
#include "switchyard/file_system.h"

namespace switchyard::experts {

struct DiskLimit {
  double gbps = 0;         // 10^9 bytes a second, sequential
  bool direct = false;     // past the page cache; false where the file system cannot
  std::string io_backend;  // "io_uring" or "pread"
};

// Reads `file` from its start in order, several large blocks in flight, with the block size and
// depth that turn out best. `bytes`: at most so many a pass. Open the file with ReadMode::direct.
// The file must not be empty.
DiskLimit measure_sequential_reads(const std::shared_ptr<ReadableFile>& file,
                                   std::uint64_t bytes = std::uint64_t{512} << 20,
                                   IoBackend backend = IoBackend::automatic);

// As above for a path: a file, or a directory in which a temporary file of `bytes` is written first
// and removed at the end. Returns 10^9 bytes a second.
double measure_direct_read_gbps(const std::string& path,
                                std::uint64_t bytes = std::uint64_t{512} << 20);

// A file full of pseudo-random bytes (so that nothing below compresses or deduplicates it), removed
// by the destructor.
class TemporaryFile {
 public:
  TemporaryFile(const std::string& directory, std::uint64_t bytes);
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace switchyard::experts
