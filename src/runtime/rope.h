// Rotary position embedding (Su 2021), in the layout of Hugging Face Llama: the halves of a head
// are rotated together. Scaling of the frequencies for longer contexts as switchyard/model_config.h
// names it.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "switchyard/model_config.h"

namespace switchyard::runtime {

// Cosines and sines of every position. Immutable after construction.
class RopeTable {
 public:
  RopeTable() = default;
  // positions: how many, which decides on the angles where scaling is dynamic; dims: what is
  // rotated of a head, even.
  RopeTable(int positions, int dims, float theta, const RopeScaling& scaling = {});

  std::span<const float> cosines(int position) const { return row(cos_, position); }  // [dims / 2]
  std::span<const float> sines(int position) const { return row(sin_, position); }
  std::size_t bytes() const { return (cos_.size() + sin_.size()) * sizeof(float); }

 private:
  std::span<const float> row(const std::vector<float>& table, int position) const {
    return std::span(table).subspan(static_cast<std::size_t>(position) * half_, half_);
  }
  std::size_t half_ = 0;
  std::vector<float> cos_;
  std::vector<float> sin_;
};

}  // namespace switchyard::runtime
