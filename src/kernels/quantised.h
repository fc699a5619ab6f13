// Numerics of products with quantised weights, the same in every set.
//
// A row of activations is rounded to 8 bits in blocks of 32 columns (to_q8): with a = 127 / largest
// magnitude, q = round to nearest even of x * a, and scale = largest magnitude / 127. Both
// quotients are single roundings, so |x - scale * q| <= (1/2 + 2^-15) * scale. A block whose
// largest magnitude is below 2^-119 is zero: 127 over it would leave the range of fp32.
//
// A weight is scale(w) * q(w), minus a minimum in some types. In each block of 32 columns the sum
// of q(x) * q(w) is exact in integers; where a type has two scales a block they are integers too
// and part of that sum, which stays below 2^24 and so is exact in fp32. Outputs are one running sum
// over blocks in ascending order:
//
//   sum = fma(scale(x) * sum of q(x), minimum(w), sum)     where the type has minima
//   sum = fma(float(sum of q(x) q(w)), scale(x) * scale(w), sum)
//
// So a bit depends on one row of x and one row of W alone, and vectors run over outputs: no set has
// to add lanes up.
#pragma once

#include <cstdint>

namespace switchyard::kernels {

// 32 activations: one cache line. The sums are of q; the scaled ones scale * sum, rounded once.
struct alignas(64) Q8Block {
  std::int8_t q[32];
  float scale;
  float scaled_sum;
  float scaled_half_sums[2];  // of q[0..15] and q[16..31]
  std::int32_t sum;
  std::int32_t half_sums[2];
  std::int32_t unused;
};
static_assert(sizeof(Q8Block) == 64);

}  // namespace switchyard::kernels
