// What people call a model: its family and how large it is.
#pragma once

#include <cstdint>
#include <string>

#include "switchyard/model_config.h"

namespace switchyard::cli::bench {

// Two digits and a unit: "1.3B", "47B", "260K", "96".
std::string short_count(std::uint64_t n);

// "llama 8B"; with experts also the weights that one token uses: "olmoe 6.9B-A1.3B".
std::string size_class(const ModelConfig& config);

}  // namespace switchyard::cli::bench
