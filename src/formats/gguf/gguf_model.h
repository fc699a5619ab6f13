// Models in GGUF files: the same ModelConfig and weights as from a Hugging Face directory, so that
// whoever runs a model does not ask which it was. Names and keys: docs/formats/gguf.md.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "switchyard/gguf.h"
#include "switchyard/model_config.h"
#include "switchyard/thread_pool.h"
#include "switchyard/weight_files.h"

namespace switchyard {

// Throws Error naming the key for an architecture that is not known, and for a key that would
// change the computation and is not supported. Keys without a meaning here are ignored.
ModelConfig model_config_from_gguf(const GgufReader& gguf);

// The tensors under the names of WeightNames, experts one by one. A tensor that is missing or
// misshapen is left to check_weights(); one that has no place in the model, or a type that is not
// computed, is an Error here, as leaving it out would change the output.
WeightFiles weights_from_gguf(const GgufReader& gguf, const ModelConfig& config);

struct GgufWriteOptions {
  // The type of a matrix, given its ggml name and its shape, outermost dimension first (experts
  // of a layer together: [E, out, in]); null or nullopt: as it is stored. Norms, biases and routers
  // are not asked for: they are F32.
  std::function<std::optional<DType>(const std::string& tensor,
                                     std::span<const std::int64_t> shape)>
      type_of{};
  // How much the input columns of a weight (Hugging Face's name) matter for its rounding: [in], or
  // empty for all alike. Null: all alike.
  std::function<std::vector<float>(const std::string& weight)> importance{};
  // Each expert's gate, up and down one behind the other, each at a multiple of 4096 bytes, so that
  // an expert is one direct read. The file is still a GGUF, with the names that experts had before
  // they were merged: not every program runs every architecture from it.
  bool packed = false;
  std::string name{};  // general.name; empty: left out
  // More keys, behind the model's own: the tokenizer's.
  std::vector<std::pair<std::string, GgufValue>> metadata{};
  ThreadPool* pool = nullptr;  // encodes; null: the calling thread
  std::function<void(std::uint64_t done, std::uint64_t total)> progress{};  // bytes written
};

// Writes the model as one file, atomically and a piece at a time. The same arguments make the same
// bytes, whatever the pool. Throws Error naming the tensor for a weight that is missing, has a
// dimension that is no multiple of the type's block, is not finite, or too large for F16.
void write_gguf(FileSystem& fs, const std::string& path, const ModelConfig& config,
                const WeightFiles& weights, const GgufWriteOptions& options = {});

// The keys that write_gguf() writes for the config: general.architecture and what follows from it.
std::vector<std::pair<std::string, GgufValue>> gguf_metadata_of(const ModelConfig& config);

}  // namespace switchyard
