// Sixteen floats as two AVX2 registers. Same names and meaning as lanes_scalar.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <immintrin.h>

#include "kernels/blocks.h"
#include "kernels/kernels.h"

namespace switchyard::kernels {
namespace {

constexpr std::size_t kLanes = 16;

struct Lanes {
  __m256 low, high;
};

// Tiles of the matrix product. 16 registers: a tile of r rows and o outputs holds 2 r o sums and,
// one half after the other, o weights and one x; 12 sums are more than the 8 to 10 that hide the
// latency of two FMAs a cycle.
constexpr std::size_t kTileRows = 3;
constexpr std::size_t kTileOutputs[kTileRows + 1] = {0, 4, 3, 2};

// Attention: the same with one register more, as its rows are broadcast one after the other.
constexpr std::size_t kAttendRows = 6;
constexpr std::size_t kAttendVectors[kAttendRows + 1] = {0, 4, 2, 1, 1, 1, 1};

inline Lanes broadcast(float a) {
  const __m256 v = _mm256_set1_ps(a);
  return {v, v};
}
inline Lanes zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }

inline __m256 widened(__m128i a) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(a), 16));
}
inline Lanes load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline Lanes load(const Bf16* p) {
  return {widened(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
          widened(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
}
inline Lanes load(const Half* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
          _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
}
inline Lanes load(const std::int8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes)))};
}
inline Lanes broadcast(Half a) {
  const __m256 v = _mm256_cvtph_ps(_mm_set1_epi16(static_cast<short>(a)));
  return {v, v};
}

// All ones in the lanes below `count`, which may be anything.
inline __m256i mask_below(std::ptrdiff_t count) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), index);
}
inline Lanes load_first(const float* p, std::size_t count) {
  const auto n = static_cast<std::ptrdiff_t>(count);
  // The upper half is loaded only where it exists: an address beyond the object must not even be
  // formed.
  return {_mm256_maskload_ps(p, mask_below(n)),
          n > 8 ? _mm256_maskload_ps(p + 8, mask_below(n - 8)) : _mm256_setzero_ps()};
}
inline Lanes load_first(const Bf16* p, std::size_t count) {
  Bf16 padded[kLanes] = {};
  for (std::size_t i = 0; i < count; ++i) padded[i] = p[i];
  return load(padded);
}
inline Lanes load_first(const Half* p, std::size_t count) {
  Half padded[kLanes] = {};
  for (std::size_t i = 0; i < count; ++i) padded[i] = p[i];
  return load(padded);
}
inline void store(float* p, const Lanes& a) {
  _mm256_storeu_ps(p, a.low);
  _mm256_storeu_ps(p + 8, a.high);
}
inline void store_first(float* p, const Lanes& a, std::size_t count) {
  const auto n = static_cast<std::ptrdiff_t>(count);
  _mm256_maskstore_ps(p, mask_below(n), a.low);
  if (n > 8) _mm256_maskstore_ps(p + 8, mask_below(n - 8), a.high);
}
inline void store(Half* p, const Lanes& a) {
  constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.low, kNearest));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(a.high, kNearest));
}
// The rounding of to_bf16, in the low 16 bits of each element.
inline __m256i narrowed(__m256 a) {
  const __m256i bits = _mm256_castps_si256(a);
  const __m256i upper = _mm256_srli_epi32(bits, 16);
  const __m256i odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
  const __m256i rounding = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
  const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, rounding), 16);
  const __m256i quiet = _mm256_or_si256(upper, _mm256_set1_epi32(0x40));
  const __m256 nan = _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
  return _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(nan));
}
inline void store(Bf16* p, const Lanes& a) {
  const __m256i words = _mm256_packus_epi32(narrowed(a.low), narrowed(a.high));
  // Packing works within halves of a register.
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(words, 0xd8));
}
// Eight by eight.
inline void transpose8(const float* rows, std::size_t stride, float* out, std::size_t out_stride) {
  __m256 a[8], b[8];
  for (std::size_t i = 0; i < 8; ++i) a[i] = _mm256_loadu_ps(rows + i * stride);
  for (std::size_t i = 0; i < 8; i += 2) {
    b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
  }
  for (std::size_t i = 0; i < 8; i += 4) {
    a[i] = _mm256_shuffle_ps(b[i], b[i + 2], 0x44);
    a[i + 1] = _mm256_shuffle_ps(b[i], b[i + 2], 0xee);
    a[i + 2] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0x44);
    a[i + 3] = _mm256_shuffle_ps(b[i + 1], b[i + 3], 0xee);
  }
  for (std::size_t i = 0; i < 4; ++i) {
    _mm256_storeu_ps(out + i * out_stride, _mm256_permute2f128_ps(a[i], a[i + 4], 0x20));
    _mm256_storeu_ps(out + (i + 4) * out_stride, _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
  }
}
// out[c * 16 + r] = element c of row r of sixteen.
inline void transpose(const float* rows, std::size_t stride, float* out) {
  transpose8(rows, stride, out, kLanes);
  transpose8(rows + 8, stride, out + 8 * kLanes, kLanes);
  transpose8(rows + 8 * stride, stride, out + 8, kLanes);
  transpose8(rows + 8 * stride + 8, stride, out + 8 * kLanes + 8, kLanes);
}

using Part = __m256;
constexpr std::size_t kParts = 2;
template <std::size_t P>
inline Part& part(Lanes& a) {
  return P == 0 ? a.low : a.high;
}
template <std::size_t P>
inline Part load_part(const float* p) {
  Part value = _mm256_loadu_ps(p + P * 8);
  // Without this, GCC loads the value again for each of its uses, and loads are what is scarce.
  asm("" : "+x"(value));
  return value;
}
template <std::size_t P>
inline Part load_part(const Bf16* p) {
  return widened(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + P * 8)));
}
template <std::size_t P>
inline Part load_part(const Half* p) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + P * 8)));
}
inline Part fma(Part a, Part b, Part c) { return _mm256_fmadd_ps(a, b, c); }

inline Lanes add(const Lanes& a, const Lanes& b) {
  return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
inline Lanes subtract(const Lanes& a, const Lanes& b) {
  return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
inline Lanes multiply(const Lanes& a, const Lanes& b) {
  return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
inline Lanes divide(const Lanes& a, const Lanes& b) {
  return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}
inline Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline Lanes maximum(const Lanes& a, const Lanes& b) {
  return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
inline Lanes minimum(const Lanes& a, const Lanes& b) {
  return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
inline Lanes absolute(const Lanes& a) {
  const __m256 sign = _mm256_set1_ps(-0.0F);
  return {_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
}
inline __m256 power_of_two(__m256 shifted) {
  const __m256i biased = _mm256_add_epi32(_mm256_castps_si256(shifted), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
}
inline Lanes power_of_two(const Lanes& shifted) {
  return {power_of_two(shifted.low), power_of_two(shifted.high)};
}

inline float sum8(__m256 s8) {
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}
// Four rows of eight partial sums to four sums. The same pairs as sum8, for four at the price of
// about two.
inline void sum8x4(__m256 a, __m256 b, __m256 c, __m256 d, float* out) {
  const __m256 ab =
      _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
  const __m256 cd =
      _mm256_add_ps(_mm256_permute2f128_ps(c, d, 0x20), _mm256_permute2f128_ps(c, d, 0x31));
  // [a0 a1 c0 c1 | b0 b1 d0 d1]
  const __m256 pairs =
      _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
  const __m128 ac = _mm256_castps256_ps128(pairs);
  const __m128 bd = _mm256_extractf128_ps(pairs, 1);
  const __m128 acbd =
      _mm_add_ps(_mm_shuffle_ps(ac, bd, 0x88), _mm_shuffle_ps(ac, bd, 0xdd));  // [a c b d]
  _mm_storeu_ps(out, _mm_shuffle_ps(acbd, acbd, 0xd8));
}
inline float sum(const Lanes& a) { return sum8(_mm256_add_ps(a.low, a.high)); }
inline void sum4(const Lanes* a, float* out) {
  sum8x4(_mm256_add_ps(a[0].low, a[0].high), _mm256_add_ps(a[1].low, a[1].high),
         _mm256_add_ps(a[2].low, a[2].high), _mm256_add_ps(a[3].low, a[3].high), out);
}
inline float largest(const Lanes& a) {
  const __m256 m8 = _mm256_max_ps(a.low, a.high);
  const __m128 m4 = _mm_max_ps(_mm256_castps256_ps128(m8), _mm256_extractf128_ps(m8, 1));
  const __m128 m2 = _mm_max_ps(m4, _mm_movehl_ps(m4, m4));
  return _mm_cvtss_f32(_mm_max_ss(m2, _mm_movehdup_ps(m2)));
}
inline std::uint32_t largest_magnitude_bits(const Lanes& a, const Lanes& b) {
  const Lanes x = absolute(a), y = absolute(b);
  const __m256i m8 =
      _mm256_max_epu32(_mm256_max_epu32(_mm256_castps_si256(x.low), _mm256_castps_si256(x.high)),
                       _mm256_max_epu32(_mm256_castps_si256(y.low), _mm256_castps_si256(y.high)));
  const __m128i m4 = _mm_max_epu32(_mm256_castsi256_si128(m8), _mm256_extracti128_si256(m8, 1));
  const __m128i m2 = _mm_max_epu32(m4, _mm_shuffle_epi32(m4, 0x4e));
  const __m128i m1 = _mm_max_epu32(m2, _mm_shuffle_epi32(m2, 0xb1));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(m1));
}
inline void store_low_bytes(std::int8_t* p, const Lanes& a) {
  const __m256i low_byte = _mm256_set1_epi32(0xff);
  const __m256i low = _mm256_and_si256(_mm256_castps_si256(a.low), low_byte);
  const __m256i high = _mm256_and_si256(_mm256_castps_si256(a.high), low_byte);
  // Packing works within halves of a register: elements 0-3, 8-11, 4-7, 12-15.
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xd8);
  const __m128i bytes =
      _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
}

}  // namespace
}  // namespace switchyard::kernels
