// A model directory in another element type, and with its experts packed for direct reads.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "switchyard/file_system.h"
#include "switchyard/safetensors.h"

namespace switchyard::cli {

struct ConvertOptions {
  std::optional<DType> dtype;  // f32 or bf16; none: as it is
  bool pack = false;           // also write experts.swpack
  std::uint64_t pack_alignment = 4096;
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;  // bytes
};

// Writes `to` as a whole or not at all: a sibling directory is filled and renamed. `to` must not
// exist. Holds one tensor in memory at a time.
void convert_model(FileSystem& fs, const std::string& from, const std::string& to,
                   const ConvertOptions& options);

}  // namespace switchyard::cli
