// Room on a disk, asked for before something large is written: better than to find out after an
// hour of writing.
#pragma once

#include <cstdint>
#include <string>

#include "switchyard/file_system.h"

namespace switchyard {

// What a FileSystem is besides if it can tell how much room there is.
class FreeSpace {
 public:
  virtual ~FreeSpace() = default;
  // What may still be written to the disk that holds the directory.
  virtual std::uint64_t free_bytes(const std::string& directory) const = 0;
};

// Throws Error if the disk has no room for a new file or directory `path` of so many bytes. Does
// nothing on a file system that cannot tell.
void require_space(FileSystem& fs, const std::string& path, std::uint64_t bytes);

}  // namespace switchyard
