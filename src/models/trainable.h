// What the training side computes of a ModelConfig.
#pragma once

#include <string>

#include "switchyard/model_config.h"

namespace switchyard::models {

// Throws Error naming what only the runtime computes: scaled RoPE, a sliding window, latent
// attention, the blocks of gpt-oss. A model with one must not be trained, or started from, as if it
// had none. `where`: the directory or recipe.
void require_trainable(const ModelConfig& config, const std::string& where);

}  // namespace switchyard::models
