// Rounding activations to 8 bits over the Lanes of one instruction set. quantised.h has the rule.
#pragma once

#include <cstddef>

#include "kernels/quantised.h"

namespace switchyard::kernels {
namespace {

constexpr std::uint32_t kInfinityBits = 0x7f800000U;
constexpr std::uint32_t kLeastBits = 0x04000000U;  // 2^-119

void to_q8(const float* x, std::size_t n, std::byte* row) {
  static_assert(2 * kLanes == sizeof(Q8Block::q));
  const Lanes shift = broadcast(12582912.0F);  // 1.5 * 2^23: rounds to an integer in the low bits
  auto* block = reinterpret_cast<Q8Block*>(row);
  for (std::size_t k = 0; k < n; k += 2 * kLanes, ++block) {
    const Lanes halves[2] = {load(x + k), load(x + k + kLanes)};
    const std::uint32_t bits = largest_magnitude_bits(halves[0], halves[1]);
    if (bits >= kInfinityBits || bits < kLeastBits) {
      const float value = bits >= kInfinityBits ? __builtin_nanf("") : 0.0F;
      *block = {.q = {},
                .scale = value,
                .scaled_sum = value,
                .scaled_half_sums = {value, value},
                .sum = 0,
                .half_sums = {0, 0},
                .unused = 0};
      continue;
    }
    const float largest = __builtin_bit_cast(float, bits);
    const float scale = largest / 127.0F;
    const Lanes factor = broadcast(127.0F / largest);
    float sums[2];
    for (std::size_t h = 0; h < 2; ++h) {
      const Lanes shifted = add(multiply(halves[h], factor), shift);
      store_low_bytes(block->q + h * kLanes, shifted);
      sums[h] = sum(subtract(shifted, shift));  // of small integers: exact in any order
    }
    block->scale = scale;
    block->scaled_sum = scale * (sums[0] + sums[1]);
    block->sum = static_cast<std::int32_t>(sums[0] + sums[1]);
    for (std::size_t h = 0; h < 2; ++h) {
      block->scaled_half_sums[h] = scale * sums[h];
      block->half_sums[h] = static_cast<std::int32_t>(sums[h]);
    }
    block->unused = 0;
  }
}

}  // namespace
}  // namespace switchyard::kernels
