// A tiny model with random weights and a tokenizer of its own, so that text goes in and comes out.
#pragma once

#include <cstdint>
#include <string>

#include "switchyard/file_system.h"
#include "switchyard/model_config.h"
#include "switchyard/safetensors.h"

namespace switchyard::testing_support {

// As write_tiny_model, plus tokenizer.json: byte-level BPE trained on a few sentences, config.vocab
// entries at most.
void write_tiny_text_model(FileSystem& fs, const std::string& directory, ModelConfig config,
                           std::uint64_t seed = 1, DType dtype = DType::f32);

}  // namespace switchyard::testing_support
