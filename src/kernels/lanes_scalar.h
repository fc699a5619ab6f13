// Sixteen floats handled as one, in plain C++: the reference the vector versions are held to.
//
// lanes_avx2.h and lanes_avx512.h have the same names with the same meaning, so that everything
// above them is written once (matmul_body.h, vector_body.h). Included by exactly one translation
// unit; all names are local to it, because that unit may be compiled for an instruction set which
// the rest of the program must not use.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/blocks.h"
#include "kernels/kernels.h"

namespace switchyard::kernels {
namespace {

constexpr std::size_t kLanes = 16;

struct Lanes {
  float v[kLanes];
};

// Tiles of the matrix product: outputs per row of x at 1, 2, 3 and more rows. Nothing to gain here;
// kept small.
constexpr std::size_t kTileRows = 2;
constexpr std::size_t kTileOutputs[kTileRows + 1] = {0, 2, 2};

// Attention: rows of queries at once, and vectors of keys or values for 1, 2, ... of them.
constexpr std::size_t kAttendRows = 2;
constexpr std::size_t kAttendVectors[kAttendRows + 1] = {0, 2, 2};

template <typename Operation>
inline Lanes each(Operation operation) {
  Lanes result;
  for (std::size_t i = 0; i < kLanes; ++i) result.v[i] = operation(i);
  return result;
}

inline Lanes broadcast(float a) {
  return each([&](std::size_t) { return a; });
}
inline Lanes zero() { return broadcast(0.0F); }

inline float widened(Bf16 a) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(a) << 16);
}

// Every value of half precision is one of single precision.
inline float half_to_float(F16 a) {
  const std::uint32_t sign = static_cast<std::uint32_t>(a & 0x8000U) << 16;
  const std::uint32_t magnitude = static_cast<std::uint32_t>(a & 0x7fffU) << 13;
  // Infinity and NaN keep the highest exponent; of the rest, subnormal ones included, the exponent
  // is 112 too low. A NaN becomes quiet, as the instruction for it does.
  if (magnitude > 0x0f800000U) return __builtin_bit_cast(float, sign | magnitude | 0x7fc00000U);
  if (magnitude == 0x0f800000U) return __builtin_bit_cast(float, sign | 0x7f800000U);
  const float value = __builtin_bit_cast(float, magnitude) * 0x1p112F;
  return __builtin_bit_cast(float, sign | __builtin_bit_cast(std::uint32_t, value));
}
inline float widened(Half a) { return half_to_float(static_cast<F16>(a)); }

inline Lanes load(const float* p) {
  Lanes result;
  __builtin_memcpy(result.v, p, sizeof(result.v));
  return result;
}
inline Lanes load(const Bf16* p) {
  return each([&](std::size_t i) { return widened(p[i]); });
}
inline Lanes load(const Half* p) {
  return each([&](std::size_t i) { return widened(p[i]); });
}
// The first `count` < 16 elements, then zeros; nothing behind them is touched.
inline Lanes load_first(const float* p, std::size_t count) {
  return each([&](std::size_t i) { return i < count ? p[i] : 0.0F; });
}
inline Lanes load_first(const Bf16* p, std::size_t count) {
  return each([&](std::size_t i) { return i < count ? widened(p[i]) : 0.0F; });
}
inline Lanes load_first(const Half* p, std::size_t count) {
  return each([&](std::size_t i) { return i < count ? widened(p[i]) : 0.0F; });
}
inline Lanes load(const std::int8_t* p) {
  return each([&](std::size_t i) { return static_cast<float>(p[i]); });
}
inline Lanes broadcast(Half a) { return broadcast(widened(a)); }
inline void store(float* p, const Lanes& a) { __builtin_memcpy(p, a.v, sizeof(a.v)); }
inline void store_first(float* p, const Lanes& a, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) p[i] = a.v[i];
}

// Rounded to nearest even; a NaN becomes quiet and keeps the upper part of its payload.
inline F16 half_of(float value) {
  const auto bits = __builtin_bit_cast(std::uint32_t, value);
  const auto sign = static_cast<F16>(bits >> 16 & 0x8000U);
  std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return static_cast<F16>(sign | 0x7e00U | (magnitude >> 13 & 0x3ffU));
  if (magnitude >= 0x477ff000U) return static_cast<F16>(sign | 0x7c00U);
  if (magnitude < 0x38800000U) {
    // Below 2^-14 the result is a multiple of 2^-24, which is the last bit of 0.5.
    const float shifted = __builtin_bit_cast(float, magnitude) + 0.5F;
    return static_cast<F16>(sign | (__builtin_bit_cast(std::uint32_t, shifted) - 0x3f000000U));
  }
  magnitude += 0xfffU + (magnitude >> 13 & 1U) - (112U << 23);
  return static_cast<F16>(sign | magnitude >> 13);
}
inline void store(Half* p, const Lanes& a) {
  for (std::size_t i = 0; i < kLanes; ++i) p[i] = static_cast<Half>(half_of(a.v[i]));
}
inline void store(Bf16* p, const Lanes& a) {
  for (std::size_t i = 0; i < kLanes; ++i) p[i] = to_bf16(a.v[i]);
}
// out[c * 16 + r] = element c of row r of sixteen.
inline void transpose(const float* rows, std::size_t stride, float* out) {
  for (std::size_t r = 0; r < kLanes; ++r) {
    for (std::size_t c = 0; c < kLanes; ++c) out[c * kLanes + r] = rows[r * stride + c];
  }
}

// The registers that make up Lanes, for code that must count them: part P holds 16 / kParts of the
// floats.
using Part = Lanes;
constexpr std::size_t kParts = 1;
template <std::size_t P>
inline Part& part(Lanes& a) {
  return a;
}
template <std::size_t P, typename Element>
inline Part load_part(const Element* p) {
  return load(p);
}

inline Lanes add(const Lanes& a, const Lanes& b) {
  return each([&](std::size_t i) { return a.v[i] + b.v[i]; });
}
inline Lanes subtract(const Lanes& a, const Lanes& b) {
  return each([&](std::size_t i) { return a.v[i] - b.v[i]; });
}
inline Lanes multiply(const Lanes& a, const Lanes& b) {
  return each([&](std::size_t i) { return a.v[i] * b.v[i]; });
}
inline Lanes divide(const Lanes& a, const Lanes& b) {
  return each([&](std::size_t i) { return a.v[i] / b.v[i]; });
}
// a * b + c, rounded once.
inline Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) {
  return each([&](std::size_t i) { return __builtin_fmaf(a.v[i], b.v[i], c.v[i]); });
}
// b where the two are equal or one is NaN (the rule of the x86 instruction).
inline Lanes maximum(const Lanes& a, const Lanes& b) {
  return each([&](std::size_t i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline Lanes minimum(const Lanes& a, const Lanes& b) {
  return each([&](std::size_t i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline Lanes absolute(const Lanes& a) {
  return each([&](std::size_t i) {
    return __builtin_bit_cast(float, __builtin_bit_cast(std::uint32_t, a.v[i]) & 0x7fffffffU);
  });
}
// 2^n for the integer n that was added to 1.5 * 2^23 to give `shifted`; -126 <= n <= 127.
inline Lanes power_of_two(const Lanes& shifted) {
  return each([&](std::size_t i) {
    return __builtin_bit_cast(float, (__builtin_bit_cast(std::uint32_t, shifted.v[i]) + 127U)
                                         << 23);
  });
}

// The one order in which sixteen partial sums are added: i with i + 8, then + 4, + 2, + 1.
inline float sum(const Lanes& a) {
  float s[8];
  for (std::size_t i = 0; i < 8; ++i) s[i] = a.v[i] + a.v[i + 8];
  for (std::size_t i = 0; i < 4; ++i) s[i] = s[i] + s[i + 4];
  for (std::size_t i = 0; i < 2; ++i) s[i] = s[i] + s[i + 2];
  return s[0] + s[1];
}
inline void sum4(const Lanes* a, float* out) {
  for (std::size_t i = 0; i < 4; ++i) out[i] = sum(a[i]);
}
inline float largest(const Lanes& a) {
  float m = a.v[0];
  for (std::size_t i = 1; i < kLanes; ++i) m = m > a.v[i] ? m : a.v[i];
  return m;
}
// The bits of the largest magnitude in a and b: above those of infinity where one is NaN.
inline std::uint32_t largest_magnitude_bits(const Lanes& a, const Lanes& b) {
  std::uint32_t most = 0;
  for (std::size_t i = 0; i < 2 * kLanes; ++i) {
    const float value = i < kLanes ? a.v[i] : b.v[i - kLanes];
    const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value) & 0x7fffffffU;
    most = most > bits ? most : bits;
  }
  return most;
}
// The lowest byte of each element's bits.
inline void store_low_bytes(std::int8_t* p, const Lanes& a) {
  for (std::size_t i = 0; i < kLanes; ++i)
    p[i] = static_cast<std::int8_t>(__builtin_bit_cast(std::uint32_t, a.v[i]));
}

}  // namespace
}  // namespace switchyard::kernels
