// A whole model made of random numbers: weights, config and tokenizer, as a directory or as one
// GGUF file.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "switchyard/dtype.h"
#include "switchyard/file_system.h"
#include "switchyard/model_config.h"

#include "cli/gguf_types.h"

namespace switchyard::cli {

struct SynthOptions {
  std::uint64_t seed = 1;
  std::optional<DType> dtype = {};  // of a directory: f32 or bf16 (if not said)
  GgufTypes types = {};             // of a GGUF file; what they leave open is bf16
  std::string name = {};            // general.name of a GGUF file
  bool pack = false;                // as ConvertOptions has it
  std::uint64_t shard_bytes = std::uint64_t{4} << 30;  // of a directory
  int threads = 0;                                     // 0: one a core
  // How many weights were just made; may throw.
  std::function<void(std::uint64_t values)> made = {};
};

// Writes `to` as a whole or not at all. A name that ends in ".gguf" is a GGUF file, any other a
// directory. `to` must not exist. Sets the special tokens of `config`. The same config, types and
// seed make the same bytes, whatever the threads; memory holds a piece of one tensor.
void write_synthetic_model(FileSystem& fs, const std::string& to, ModelConfig config,
                           const SynthOptions& options);

}  // namespace switchyard::cli
