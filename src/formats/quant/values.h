// A block on its way to being encoded, and four floats at a time.
//
// A block is divided by a power of two first, so that its largest magnitude lies in [0.5, 1):
// squares and sums then neither overflow nor vanish, whatever the weights are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace switchyard::quant {

// Four lanes whatever the instruction set: sums have the same order, and so the bytes are the same,
// on every machine.
using F4 = float __attribute__((vector_size(16)));

inline F4 splat(float v) { return F4{v, v, v, v}; }
inline F4 load(const float* p) {
  F4 v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}
inline void store(float* p, F4 v) { std::memcpy(p, &v, sizeof(v)); }
inline float sum(F4 v) { return (v[0] + v[2]) + (v[1] + v[3]); }
inline F4 clamp(F4 v, float low, float high) {
  const F4 l = splat(low);
  const F4 h = splat(high);
  v = v < l ? l : v;
  return v > h ? h : v;
}
// To the nearest whole number, ties to even; for magnitudes below 2^22.
inline float round_even(float v) { return (v + 0x1.8p23F) - 0x1.8p23F; }
inline F4 round_even(F4 v) { return (v + splat(0x1.8p23F)) - splat(0x1.8p23F); }

// An f16 scale as stored, and its value for the block divided by its power of two.
struct Scale {
  std::uint16_t bits = 0;
  float value = 0;
};

// The power of two that a block was divided by.
struct BlockExponent {
  int exponent = 0;

  // The f16 nearest to `value` times the power of two; ends at the largest finite f16.
  Scale nearest(float value) const;
  Scale of_bits(std::uint16_t bits) const;
  // The f16 values next to `scale`, of the same sign.
  std::array<Scale, 2> neighbours(Scale scale) const;
};

template <int N>
struct Values {
  alignas(16) float x[N];
  alignas(16) float w[N];  // not negative, mean 1
  BlockExponent unit;
};

// `importance` may be null. Throws InternalError at a value or an importance that is not finite.
void prepare(const float* x, const float* importance, int n, float* out, float* weights,
             BlockExponent& unit);

template <int N>
Values<N> prepare(const float* x, const float* importance) {
  Values<N> v;
  prepare(x, importance, N, v.x, v.w, v.unit);
  return v;
}

}  // namespace switchyard::quant
