// A dense feed-forward network as N experts, and back (SMoE-Dropout, Chen 2023: "modulization").
// Pure functions over one matrix of the network at a time.
//
// Expert i gets rows i H/N to (i + 1) H/N - 1 of gate and up, and the same columns of down times N.
// Its gate weights sum to 1, so N experts of equal weight 1/N are the dense network, and the mean
// over all choices of K experts is, too: an inverted dropout of blocks.
//
// D model width, H hidden width of the dense network, N experts. `part` is "gate", "up" ([H, D]) or
// "down" ([D, H]). Results are copies without a gradient.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include <torch/types.h>

namespace switchyard::models {

// The dimension of a part's matrix that has an entry for each hidden unit.
inline std::int64_t hidden_dimension(std::string_view part) { return part == "down" ? 1 : 0; }

// Expert `expert`'s part. Throws Error when N does not divide H.
torch::Tensor split_part(std::string_view part, const torch::Tensor& dense, std::int64_t expert,
                         std::int64_t experts);

// The part of the dense network that equals all N experts with weight 1/N each: what a model
// trained to K = N with uniform gates is. Exactly undoes split_part() where N is a power of two.
torch::Tensor join_parts(std::string_view part, const std::vector<torch::Tensor>& experts);

}  // namespace switchyard::models
