// A model as people have it: a Hugging Face directory, or one GGUF file (the first, if it is
// split). Whoever takes a model's path passes it on to read_model_config(), open_weights() and
// Tokenizer::load(), and does not ask which of the two it is.
#pragma once

#include <string>

#include "switchyard/file_system.h"
#include "switchyard/model_config.h"
#include "switchyard/weight_files.h"

namespace switchyard {

// Whether `path` is a file that begins as GGUF files do.
bool is_gguf(FileSystem& fs, const std::string& path);

// The tensors under Hugging Face's names. `config` is that of the model.
WeightFiles open_weights(FileSystem& fs, const std::string& path, const ModelConfig& config);

}  // namespace switchyard
