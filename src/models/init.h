// Random initial weights that are the same on every machine: a counter-based generator instead of
// libtorch's, whose values depend on its version and on the instruction set.
#pragma once

#include <cstdint>
#include <string_view>

#include <torch/types.h>

namespace switchyard::models {

// Fills with normal values of mean 0. Value i is a function of (seed, name, i) alone.
void fill_normal(torch::Tensor tensor, double deviation, std::uint64_t seed, std::string_view name);

}  // namespace switchyard::models
