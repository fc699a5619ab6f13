// A model in another form: a Hugging Face directory in another element type, with its experts
// packed for direct reads, or one GGUF file; either way from either of the two.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "switchyard/file_system.h"
#include "switchyard/safetensors.h"

#include "cli/gguf_types.h"
#include "formats/gguf/column_importance.h"

namespace switchyard::cli {

struct ConvertOptions {
  std::optional<DType> dtype;  // of a directory: f32 or bf16; none: as it is
  GgufTypes types;             // of a GGUF file
  // How the weights of a GGUF file are rounded into quantised types; null: all columns alike.
  const ColumnImportance* importance = nullptr;
  // A directory gets experts.swpack as well; a GGUF file has each expert in one piece.
  bool pack = false;
  std::uint64_t pack_alignment = 4096;  // of a directory's
  int threads = 0;                      // that round weights, 0: one a core
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;  // bytes
};

// Writes `to` as a whole or not at all. A name that ends in ".gguf" is a GGUF file, any other a
// directory. `to` must not exist. Memory holds a piece of one tensor.
void convert_model(FileSystem& fs, const std::string& from, const std::string& to,
                   const ConvertOptions& options);

}  // namespace switchyard::cli
