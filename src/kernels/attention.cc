#include "kernels/attention.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "kernels/blocks.h"

namespace switchyard::kernels {
namespace {

std::size_t in_steps(std::size_t n, std::size_t step) { return (n + step - 1) / step * step; }

std::size_t row_bytes(DType type, std::size_t width) {
  SWITCHYARD_CHECK(is_cache_type(type));
  if (type == DType::q8_0) {
    SWITCHYARD_CHECK(width % kBlock == 0);
    return width / kBlock * sizeof(BlockQ8_0);
  }
  return width * (type == DType::f32 ? sizeof(float) : sizeof(F16));
}

}  // namespace

bool is_cache_type(DType type) {
  return type == DType::f32 || type == DType::f16 || type == DType::bf16 || type == DType::q8_0;
}

std::size_t cached_keys_bytes(DType type, std::size_t width, std::size_t positions) {
  return in_steps(positions, kKeyGroup) * row_bytes(type, width);
}
// The last group is whole here too: with latent attention, rows are read as keys.
std::size_t cached_values_bytes(DType type, std::size_t width, std::size_t positions) {
  return in_steps(positions, kKeyGroup) * row_bytes(type, width);
}

std::size_t attention_state_floats(std::size_t value_width) {
  return 16 + in_steps(value_width, 16);
}

void attention_clear(float* state, std::size_t value_width) {
  std::fill_n(state, attention_state_floats(value_width), 0.0F);
  state[0] = -std::numeric_limits<float>::infinity();
}

std::size_t attention_memory_floats(std::size_t key_width, std::size_t value_width) {
  // Latent attention has a block twice, as rows and as groups of keys.
  return kAttentionBlock * (key_width + std::max(key_width, value_width)) + 16;
}

}  // namespace switchyard::kernels
