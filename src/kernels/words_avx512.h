// Sixteen 32-bit words, one for each of sixteen outputs, and 8-bit products by VNNI. Same names and
// meaning as words_avx2.h; what is above them is written once (q8_types.h, q8_product_body.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/unrolled.h"

namespace switchyard::kernels {
namespace {

constexpr std::size_t kOut = 16;
using Words = __m512i;
using Floats = __m512;

// Tiles of rows by vectors of outputs. 32 registers: 6 by 2 hold 12 sums of integers and 12 of
// floats, 2 words of weights and one of x.
constexpr std::size_t kTileRows = 6;
constexpr std::size_t kTileVectors = 2;
// Rows that take weights from registers. 6 and 8 were slower than panels.
constexpr std::size_t kFewRows = 4;

inline Words splat(std::uint32_t a) { return _mm512_set1_epi32(static_cast<int>(a)); }
inline Words splat_word(const void* p) {
  int word;
  __builtin_memcpy(&word, p, sizeof(word));
  return _mm512_set1_epi32(word);
}
inline Floats splat_float(float a) { return _mm512_set1_ps(a); }
inline Words both(Words a, Words b) { return _mm512_and_si512(a, b); }
inline Words either(Words a, Words b) { return _mm512_or_si512(a, b); }
inline Words differing(Words a, Words b) { return _mm512_xor_si512(a, b); }
inline Words plus(Words a, Words b) { return _mm512_add_epi32(a, b); }
inline Words minus(Words a, Words b) { return _mm512_sub_epi32(a, b); }
inline Words times(Words a, Words b) { return _mm512_mullo_epi32(a, b); }
inline Words bytes_plus(Words a, Words b) { return _mm512_add_epi8(a, b); }
template <int Bits>
inline Words left(Words a) {
  return _mm512_slli_epi32(a, Bits);
}
template <int Bits>
inline Words right(Words a) {
  return _mm512_srli_epi32(a, Bits);
}
template <int Bits>
inline Words right_signed(Words a) {
  return _mm512_srai_epi32(a, Bits);
}
inline Words left_by(Words a, int bits) { return _mm512_sll_epi32(a, _mm_cvtsi32_si128(bits)); }
// The word that starts `Bytes` into low and ends in high.
template <int Bytes>
inline Words joined(Words low, Words high) {
  if constexpr (Bytes == 2) {
    // 0xca: where the mask has ones high, else low.
    return _mm512_rol_epi32(_mm512_ternarylogic_epi32(splat(0xffff), high, low, 0xca), 16);
  }
  return either(right<8 * Bytes>(low), left<32 - 8 * Bytes>(high));
}
// 16 bytes, the same in every 128 bits.
inline Words table(const void* p) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(static_cast<const __m128i*>(p)));
}
// Bytes of `values`, by the byte indices 0..15, within each 128 bits.
inline Words look_up(Words values, Words index) { return _mm512_shuffle_epi8(values, index); }

inline Floats to_floats(Words a) { return _mm512_cvtepi32_ps(a); }
inline Floats as_floats(Words a) { return _mm512_castsi512_ps(a); }
// Of half precision in the lower 16 bits, whatever the upper ones hold.
inline Floats from_half(Words a) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(a)); }
inline Floats product_of(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats negated(Floats a) { return _mm512_xor_ps(a, _mm512_set1_ps(-0.0F)); }
inline Floats fused(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }

inline __mmask16 mask_below(std::size_t count) {
  return static_cast<__mmask16>((1U << count) - 1U);
}
inline Floats load_floats(const float* p, std::size_t count) {
  return _mm512_maskz_loadu_ps(mask_below(count), p);
}
inline void store_floats(float* p, Floats a, std::size_t count) {
  _mm512_mask_storeu_ps(p, mask_below(count), a);
}

inline __m128i load16(const std::uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
// 16 bytes of each of kOut rows: out[w] has word w of all rows.
inline void load_words(const std::uint8_t* p, std::size_t stride, Words* out) {
  Words z[4];
  unrolled<4>([&](auto i) {
    const std::uint8_t* row = p + i.value * stride;
    Words four = _mm512_castsi128_si512(load16(row));
    four = _mm512_inserti32x4(four, load16(row + 4 * stride), 1);
    four = _mm512_inserti32x4(four, load16(row + 8 * stride), 2);
    z[i.value] = _mm512_inserti32x4(four, load16(row + 12 * stride), 3);
  });
  const Words a = _mm512_unpacklo_epi32(z[0], z[1]), b = _mm512_unpackhi_epi32(z[0], z[1]);
  const Words c = _mm512_unpacklo_epi32(z[2], z[3]), d = _mm512_unpackhi_epi32(z[2], z[3]);
  out[0] = _mm512_unpacklo_epi64(a, c);
  out[1] = _mm512_unpackhi_epi64(a, c);
  out[2] = _mm512_unpacklo_epi64(b, d);
  out[3] = _mm512_unpackhi_epi64(b, d);
}

// Codes are bytes without a sign, as the instruction wants them: those with one get 128 added, and
// the sum starts at what that adds.
inline Words signed_codes(Words a) { return differing(a, splat(0x80808080U)); }
constexpr int kSignedOffsetBits = 7;

// The instruction that limits dots, alone: for measuring how many there can be.
inline Words byte_products(Words sum, Words codes, Words x) {
  return _mm512_dpbusd_epi32(sum, codes, x);
}

// sums[r * O + o] = start(r) + sum over words [First, First + Count) of the four products of codes
// of vector o and x of row r. codes(o, w) gives a word of codes, x(r) the bytes of a row.
template <typename Shape, std::size_t First, std::size_t Count, std::size_t R, std::size_t O,
          typename Codes, typename Rows, typename Start>
[[gnu::always_inline]] inline void dots(const Codes& codes, const Rows& x, const Start& start,
                                        Words* sums) {
  unrolled<R>([&](auto r) {
    const Words first = start(r);
    unrolled<O>([&](auto o) { sums[r.value * O + o.value] = first; });
  });
  unrolled<Count>([&](auto i) {
    constexpr std::size_t kWord = First + i.value;
    Words c[O];
    unrolled<O>([&](auto o) { c[o.value] = codes(o, Constant<kWord>{}); });
    unrolled<R>([&](auto r) {
      const Words xw = splat_word(x(r) + 4 * kWord);
      unrolled<O>([&](auto o) {
        Words& sum = sums[r.value * O + o.value];
        sum = _mm512_dpbusd_epi32(sum, c[o.value], xw);
      });
    });
  });
}

}  // namespace
}  // namespace switchyard::kernels
