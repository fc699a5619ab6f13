// RoPE in GGUF: the keys rope.*, and the tensor with Llama 3.1's factors of the frequencies.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "switchyard/gguf.h"
#include "switchyard/model_config.h"

#include "formats/gguf/architecture.h"

namespace switchyard {

inline constexpr const char* kRopeFactors = "rope_freqs.weight";

// Sets rope_theta and rope_scaling. Reads layers, context and rope_dim() of the config. Throws
// Error naming the key, or the tensor, for scaling that is not known.
void read_gguf_rope(const GgufReader& gguf, const GgufArchitecture& row, ModelConfig& config);

// Whether other programs turn the angles as the config says when they read what follows.
bool gguf_rope_fits(const ModelConfig& config, const GgufArchitecture& row);
void add_gguf_rope(const ModelConfig& config, const GgufArchitecture& row,
                   std::vector<std::pair<std::string, GgufValue>>& out);
// What each frequency is divided by, [rope_dim / 2]; empty where no tensor says it.
std::vector<float> gguf_rope_factors(const ModelConfig& config);

}  // namespace switchyard
