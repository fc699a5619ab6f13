// Experts of a model directory as a Store: where the safetensors file has them, or packed.
//
// The packed form, `experts.swpack` beside config.json, has every slab contiguous, aligned and
// checksummed, so that one expert is one direct read. Layout (numbers little-endian):
//   0   8 bytes   magic "SWPACK01"
//   8   8 bytes   header length h
//   16  h bytes   JSON, see below
//   ..            zeros to the alignment, then the slabs by layer and expert, each starting at a
//                 multiple of the alignment and padded with zeros to it
// Header:
//   {"alignment": 4096, "layers": L, "source": ["model.safetensors", ...],
//    "slabs": [{"layer": l, "expert": e, "offset": o, "bytes": n, "checksum": "16 hex digits",
//               "parts": [{"name": "gate", "dtype": "BF16", "shape": [F, D], "offset": o}, ...]}]}
// A slab's offset counts from the start of the file, a part's from the start of its slab. Parts
// start at multiples of 64. The checksum is XXH3-64 of the slab's bytes, padding between parts
// included. A pack whose bytes differ from the safetensors file beside it (the first page of one
// expert a layer is compared on opening) is refused as left over from another model.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "switchyard/experts.h"
#include "switchyard/model_config.h"
#include "switchyard/safetensors.h"

namespace switchyard::experts {

// One matrix inside a slab.
struct Part {
  std::string name{};  // "gate", "up", "down"
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape{};  // [out, in]
  std::size_t extent = 0;             // which extent of the slab holds it
  std::uint64_t offset = 0;           // from the start of that extent
  std::uint64_t bytes = 0;
};

// A store together with what the compute side must know to use its slabs.
struct ExpertStore {
  std::shared_ptr<const Store> store;
  std::vector<std::vector<std::vector<Part>>>
      parts;  // [layer][expert][part]; empty for dense layers
  bool packed = false;
};

inline constexpr std::string_view kPackFile = "experts.swpack";
inline constexpr std::uint64_t kPackAlignment = 4096;

// Experts where the model file has them: up to three extents a slab, no checksums; experts whose
// matrices lie in tensors of all experts in another order are arranged after each read. Throws
// Error if a tensor is missing, has another shape than the config says, or a type that is not
// floating point.
ExpertStore open_in_place(FileSystem& fs, const std::string& model_directory,
                          const ModelConfig& config);
// Experts from the pack. Throws Error if the file is broken or does not belong to this model.
ExpertStore open_packed(FileSystem& fs, const std::string& model_directory,
                        const ModelConfig& config);
// The pack if the directory has one, else in place.
ExpertStore open_experts(FileSystem& fs, const std::string& model_directory,
                         const ModelConfig& config);
// Writes the pack beside the model, atomically, holding one expert in memory at a time. `alignment`
// is a power of two in 512..2 MiB. `progress` is called with slab bytes done and in all.
void write_pack(FileSystem& fs, const std::string& model_directory, const ModelConfig& config,
                std::uint64_t alignment = kPackAlignment,
                const std::function<void(std::uint64_t done, std::uint64_t total)>& progress = {});

}  // namespace switchyard::experts
