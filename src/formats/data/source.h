// Finding and reading the files of a data set, compressed or not.
#pragma once

#include <cstdint>
#include <string>

#include "switchyard/file_system.h"

namespace switchyard::data {

// The most that one file may hold, decompressed: larger data does not belong into memory as a
// whole, and a small hostile file can decompress to anything.
inline constexpr std::uint64_t kMaxBytes = std::uint64_t{4} << 30;

// The environment variable that names the directory of the data sets.
inline constexpr const char* kRootVariable = "SWITCHYARD_DATA";

// The path under which `name` is found: as given, else relative to `root` (empty: none), each as it
// is, with ".xz" or with ".gz". Throws Error that says what to set if there is none.
std::string find_data(FileSystem& fs, const std::string& name, const std::string& root);
// The same with $SWITCHYARD_DATA as root.
std::string find_data(FileSystem& fs, const std::string& name);

// The whole content of `path`, or of `path`.xz or `path`.gz if there is no `path`. What ends in .xz
// or .gz is decompressed. Throws Error if the content has more than `limit` bytes or is damaged.
std::string read_bytes(FileSystem& fs, const std::string& path, std::uint64_t limit = kMaxBytes);

}  // namespace switchyard::data
