// What stands before the tensors' bytes of one GGUF file, parsed and checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "switchyard/file_system.h"
#include "switchyard/gguf.h"

namespace switchyard {

// Metadata and tensor list of the largest vocabularies and the most experts take 30 MB; more than
// this is an attack or a broken file. All files of a split model together.
inline constexpr std::uint64_t kMaxGgufHeader = 128 << 20;
// Of one file; what is kept of each takes more memory than it takes in the file.
inline constexpr std::size_t kMaxGgufKeys = 1 << 16;
inline constexpr std::size_t kMaxGgufTensors = 1 << 20;
// How deep arrays may nest.
inline constexpr int kMaxGgufNesting = 8;

struct GgufHeader {
  GgufMetadata metadata;
  std::vector<GgufTensor> tensors;  // in the order of the file; offsets from its start
  std::uint64_t bytes = 0;          // of metadata and tensor list
};

// Reads at most `limit` bytes. Throws Error naming `path` and the key, the tensor or the byte,
// unless everything is well-formed: known types, each name once, tensors aligned, within the file
// and apart.
GgufHeader read_gguf_header(const ReadableFile& file, const std::string& path, std::uint64_t limit);

}  // namespace switchyard
