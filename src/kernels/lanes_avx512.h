// Sixteen floats as one AVX-512 register. Same names and meaning as lanes_scalar.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <immintrin.h>

#include "kernels/blocks.h"
#include "kernels/kernels.h"
#include "kernels/unrolled.h"

namespace switchyard::kernels {
namespace {

constexpr std::size_t kLanes = 16;

struct Lanes {
  __m512 v;
};

// Tiles of the matrix product. 32 registers: 6 rows by 4 outputs hold 24 sums, 4 weights and one x,
// and do 24 FMAs for 10 loads.
constexpr std::size_t kTileRows = 6;
constexpr std::size_t kTileOutputs[kTileRows + 1] = {0, 4, 4, 4, 4, 4, 4};

constexpr std::size_t kAttendRows = 6;
constexpr std::size_t kAttendVectors[kAttendRows + 1] = {0, 8, 4, 4, 4, 4, 4};

inline Lanes broadcast(float a) { return {_mm512_set1_ps(a)}; }
inline Lanes zero() { return {_mm512_setzero_ps()}; }

inline __m512 widened(__m256i a) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(a), 16));
}
inline Lanes load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline Lanes load(const Bf16* p) {
  return {widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline Lanes load(const Half* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline Lanes load(const std::int8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))};
}
inline Lanes broadcast(Half a) {
  return {_mm512_cvtph_ps(_mm256_set1_epi16(static_cast<short>(a)))};
}
inline __mmask16 mask_below(std::size_t count) {
  return static_cast<__mmask16>((1U << count) - 1U);
}
inline Lanes load_first(const float* p, std::size_t count) {
  return {_mm512_maskz_loadu_ps(mask_below(count), p)};
}
inline Lanes load_first(const Bf16* p, std::size_t count) {
  return {widened(_mm256_maskz_loadu_epi16(mask_below(count), p))};
}
inline Lanes load_first(const Half* p, std::size_t count) {
  return {_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask_below(count), p))};
}
inline void store(float* p, const Lanes& a) { _mm512_storeu_ps(p, a.v); }
inline void store_first(float* p, const Lanes& a, std::size_t count) {
  _mm512_mask_storeu_ps(p, mask_below(count), a.v);
}
inline void store(Half* p, const Lanes& a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT));
}
// The rounding of to_bf16.
inline void store(Bf16* p, const Lanes& a) {
  const __m512i bits = _mm512_castps_si512(a.v);
  const __m512i upper = _mm512_srli_epi32(bits, 16);
  const __m512i odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
  const __m512i rounding = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
  const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, rounding), 16);
  const __m512i narrowed = _mm512_mask_or_epi32(rounded, _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q),
                                                upper, _mm512_set1_epi32(0x40));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(narrowed));
}
// out[c * 16 + r] = element c of row r of sixteen. After two steps a vector holds four columns of
// four rows; the last two put the 128-bit quarters of a column beside each other.
inline void transpose(const float* rows, std::size_t stride, float* out) {
  __m512 a[16], b[16];
  unrolled<16>([&](auto i) { a[i.value] = _mm512_loadu_ps(rows + i.value * stride); });
  unrolled<8>([&](auto i) {
    b[2 * i.value] = _mm512_unpacklo_ps(a[2 * i.value], a[2 * i.value + 1]);
    b[2 * i.value + 1] = _mm512_unpackhi_ps(a[2 * i.value], a[2 * i.value + 1]);
  });
  // a[4 g + c]: columns c, c + 4, c + 8, c + 12 of rows 4 g to 4 g + 3.
  unrolled<4>([&](auto g) {
    constexpr std::size_t kAt = 4 * g.value;
    a[kAt] = _mm512_shuffle_ps(b[kAt], b[kAt + 2], 0x44);
    a[kAt + 1] = _mm512_shuffle_ps(b[kAt], b[kAt + 2], 0xee);
    a[kAt + 2] = _mm512_shuffle_ps(b[kAt + 1], b[kAt + 3], 0x44);
    a[kAt + 3] = _mm512_shuffle_ps(b[kAt + 1], b[kAt + 3], 0xee);
  });
  unrolled<4>([&](auto c) {
    const __m512 low = _mm512_shuffle_f32x4(a[c.value], a[c.value + 4], 0x44);
    const __m512 high = _mm512_shuffle_f32x4(a[c.value], a[c.value + 4], 0xee);
    const __m512 low2 = _mm512_shuffle_f32x4(a[c.value + 8], a[c.value + 12], 0x44);
    const __m512 high2 = _mm512_shuffle_f32x4(a[c.value + 8], a[c.value + 12], 0xee);
    float* const to = out + c.value * kLanes;
    _mm512_storeu_ps(to, _mm512_shuffle_f32x4(low, low2, 0x88));
    _mm512_storeu_ps(to + 4 * kLanes, _mm512_shuffle_f32x4(low, low2, 0xdd));
    _mm512_storeu_ps(to + 8 * kLanes, _mm512_shuffle_f32x4(high, high2, 0x88));
    _mm512_storeu_ps(to + 12 * kLanes, _mm512_shuffle_f32x4(high, high2, 0xdd));
  });
}

using Part = __m512;
constexpr std::size_t kParts = 1;
template <std::size_t P>
inline Part& part(Lanes& a) {
  return a.v;
}
template <std::size_t P, typename Element>
inline Part load_part(const Element* p) {
  return load(p).v;
}
inline Part fma(Part a, Part b, Part c) { return _mm512_fmadd_ps(a, b, c); }

inline Lanes add(const Lanes& a, const Lanes& b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Lanes subtract(const Lanes& a, const Lanes& b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Lanes multiply(const Lanes& a, const Lanes& b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Lanes divide(const Lanes& a, const Lanes& b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Lanes fma(const Lanes& a, const Lanes& b, const Lanes& c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
inline Lanes maximum(const Lanes& a, const Lanes& b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Lanes minimum(const Lanes& a, const Lanes& b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Lanes absolute(const Lanes& a) { return {_mm512_abs_ps(a.v)}; }
inline Lanes power_of_two(const Lanes& shifted) {
  const __m512i biased = _mm512_add_epi32(_mm512_castps_si512(shifted.v), _mm512_set1_epi32(127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(biased, 23))};
}

inline __m256 upper_half(__m512 a) {
  return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a), 1));
}
inline __m256 halves_added(const Lanes& a) {
  return _mm256_add_ps(_mm512_castps512_ps256(a.v), upper_half(a.v));
}
inline float sum(const Lanes& a) {
  const __m256 s8 = halves_added(a);
  const __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
  const __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
  return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}
// Four rows of partial sums to four sums. The same pairs as sum, for four at the price of about
// two.
inline void sum4(const Lanes* rows, float* out) {
  const __m256 a = halves_added(rows[0]);
  const __m256 b = halves_added(rows[1]);
  const __m256 c = halves_added(rows[2]);
  const __m256 d = halves_added(rows[3]);
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
inline float largest(const Lanes& a) {
  const __m256 m8 = _mm256_max_ps(_mm512_castps512_ps256(a.v), upper_half(a.v));
  const __m128 m4 = _mm_max_ps(_mm256_castps256_ps128(m8), _mm256_extractf128_ps(m8, 1));
  const __m128 m2 = _mm_max_ps(m4, _mm_movehl_ps(m4, m4));
  return _mm_cvtss_f32(_mm_max_ss(m2, _mm_movehdup_ps(m2)));
}
inline std::uint32_t largest_magnitude_bits(const Lanes& a, const Lanes& b) {
  const __m512i m16 = _mm512_max_epu32(_mm512_castps_si512(_mm512_abs_ps(a.v)),
                                       _mm512_castps_si512(_mm512_abs_ps(b.v)));
  const __m256i m8 =
      _mm256_max_epu32(_mm512_castsi512_si256(m16), _mm512_extracti64x4_epi64(m16, 1));
  const __m128i m4 = _mm_max_epu32(_mm256_castsi256_si128(m8), _mm256_extracti128_si256(m8, 1));
  const __m128i m2 = _mm_max_epu32(m4, _mm_shuffle_epi32(m4, 0x4e));
  const __m128i m1 = _mm_max_epu32(m2, _mm_shuffle_epi32(m2, 0xb1));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(m1));
}
inline void store_low_bytes(std::int8_t* p, const Lanes& a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_castps_si512(a.v)));
}

}  // namespace
}  // namespace switchyard::kernels
