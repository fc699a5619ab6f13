// The header of experts.swpack (layout: switchyard/expert_pack.h): made, printed, parsed, checked.
//
// A pack is fully determined by the model and the alignment: slabs by layer and expert, one behind
// the other. The parser asks for exactly that, so nothing overlaps, nothing hides in holes, and no
// field of a hostile file is believed before it was compared with the config.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "switchyard/expert_pack.h"

namespace switchyard::experts {

inline constexpr std::string_view kPackMagic = "SWPACK01";
inline constexpr std::uint64_t kPackPrefix = 16;  // magic and header length
inline constexpr std::uint64_t kMaxPackHeader = std::uint64_t{1} << 28;

// Whether slabs may be aligned to this.
bool is_pack_alignment(std::uint64_t alignment);
inline constexpr const char* kPackAlignments = "a power of two in 512..2097152";

struct PackedSlab {
  SlabId id;
  std::uint64_t offset = 0;  // from the start of the file
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;
  std::vector<Part> parts{};  // extent 0; offsets from the start of the slab
};

struct PackHeader {
  std::uint64_t alignment = kPackAlignment;
  int layers = 0;
  std::vector<std::string> source;  // names of the files it was made from, for people
  std::vector<PackedSlab> slabs;    // by layer and expert
};

// The JSON as it stands in the file. Its length does not depend on the checksums.
std::string print_pack_header(const PackHeader& header);

// Where the first slab starts behind a header of this many bytes.
std::uint64_t pack_data_begin(std::uint64_t header_bytes, std::uint64_t alignment);

// `text` is the JSON of a pack of `file_bytes` bytes. Throws Error naming `path` and the slab.
PackHeader parse_pack_header(std::string_view text, std::uint64_t file_bytes,
                             const ModelConfig& config, const std::string& path);

// The store over an open pack, and the same file as `direct` for the reads to come.
ExpertStore open_pack_file(const ReadableFile& file, std::shared_ptr<ReadableFile> direct,
                           const ModelConfig& config);

}  // namespace switchyard::experts
