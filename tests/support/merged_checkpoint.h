// Checkpoints with all experts of a layer in one tensor, as they are published, made from those of
// write_tiny_model() that have each expert by itself.
#pragma once

#include <string>

#include "switchyard/file_system.h"

namespace switchyard::testing_support {

enum class MergedForm {
  plain,  // the type of the model's own directory, in the order of its family
  mxfp4,  // gpt-oss as published: blocks, scales and biases
};

// Writes config.json and model.safetensors to `to`. What MXFP4 rounds is rounded as write_gguf()
// rounds it.
void write_merged_checkpoint(FileSystem& fs, const std::string& from, const std::string& to,
                             MergedForm form);

}  // namespace switchyard::testing_support
