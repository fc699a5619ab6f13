// The packed form of a model's experts, `experts.swpack` beside config.json: every slab contiguous, aligned and
// checksummed, so that one expert is one direct read.
//
// Layout (little-endian):
//   0   8 bytes   magic "SWPACK01"
//   8   8 bytes   header length h
//   16  h bytes   JSON: {"alignment", "layers", "parts": [...], "slabs": [{"layer","expert","offset","bytes",
//                 "checksum", "parts": [{"name","dtype","shape","offset"}]}], "source"}
//   ..  zero padding to the alignment, then the slabs, each starting at a multiple of the alignment and padded to it
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "switchyard/experts.h"
#include "switchyard/model_config.h"
#include "switchyard/safetensors.h"

namespace switchyard::experts {

// One matrix inside a slab.
struct Part {
  std::string name;  // "gate", "up", "down"
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;  // [out, in]
  std::size_t extent = 0;           // which extent of the slab holds it
  std::uint64_t offset = 0;         // from the start of that extent
  std::uint64_t bytes = 0;
};

// A store together with what the compute side must know to use its slabs.
struct ExpertStore {
  std::shared_ptr<const Store> store;
  std::vector<std::vector<std::vector<Part>>> parts;  // [layer][expert][part]; empty for dense layers
  bool packed = false;
};

inline constexpr std::string_view kPackFile = "experts.swpack";

// Experts where the model file has them: up to three extents a slab.
ExpertStore open_in_place(FileSystem& fs, const std::string& model_directory, const ModelConfig& config);
// Experts from the pack; throws Error if it does not belong to this config.
ExpertStore open_packed(FileSystem& fs, const std::string& model_directory, const ModelConfig& config);
// Writes the pack beside the model, atomically. `progress` is called with bytes done and in all.
void write_pack(FileSystem& fs, const std::string& model_directory, const ModelConfig& config,
                std::uint64_t alignment = 4096,
                const std::function<void(std::uint64_t done, std::uint64_t total)>& progress = {});

}  // namespace switchyard::experts
