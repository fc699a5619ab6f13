// Whole-file decompression with a limit.
#pragma once

#include <cstdint>
#include <string>

#include "switchyard/file_system.h"

namespace switchyard::data {

enum class Compression { xz, gzip };

// What `file` holds. Several streams one after the other are joined, as xz -d and gzip -d do.
// Throws Error if the file is damaged, cut short, followed by other bytes, or holds more than
// `limit` bytes.
std::string decompress(const ReadableFile& file, Compression compression, std::uint64_t limit);

}  // namespace switchyard::data
