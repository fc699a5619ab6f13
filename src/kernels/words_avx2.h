// Eight 32-bit words, one for each of eight outputs, and 8-bit products of AVX2. Same names and
// meaning as words_avx512.h, where they are explained.
#pragma once

#include <cstddef>
#include <cstdint>
#include <immintrin.h>

#include "kernels/kernels.h"
#include "kernels/unrolled.h"

namespace switchyard::kernels {
namespace {

constexpr std::size_t kOut = 8;
using Words = __m256i;
using Floats = __m256;

// 16 registers: 3 by 2 hold 6 sums of integers, 6 of floats, 2 words of weights and one of x. 2 by
// 2 took 1.14 times as long for 32 rows of Q4_0, 4 by 1 and 6 by 1 more.
constexpr std::size_t kTileRows = 3;
constexpr std::size_t kTileVectors = 2;
constexpr std::size_t kFewRows = 2;  // 3 and 4 no longer fit and take twice as long as in panels

inline Words splat(std::uint32_t a) { return _mm256_set1_epi32(static_cast<int>(a)); }
inline Words splat_word(const void* p) {
  int word;
  __builtin_memcpy(&word, p, sizeof(word));
  return _mm256_set1_epi32(word);
}
inline Floats splat_float(float a) { return _mm256_set1_ps(a); }
inline Words both(Words a, Words b) { return _mm256_and_si256(a, b); }
inline Words either(Words a, Words b) { return _mm256_or_si256(a, b); }
inline Words differing(Words a, Words b) { return _mm256_xor_si256(a, b); }
inline Words plus(Words a, Words b) { return _mm256_add_epi32(a, b); }
inline Words minus(Words a, Words b) { return _mm256_sub_epi32(a, b); }
inline Words times(Words a, Words b) { return _mm256_mullo_epi32(a, b); }
inline Words bytes_plus(Words a, Words b) { return _mm256_add_epi8(a, b); }
template <int Bits>
inline Words left(Words a) {
  return _mm256_slli_epi32(a, Bits);
}
template <int Bits>
inline Words right(Words a) {
  return _mm256_srli_epi32(a, Bits);
}
template <int Bits>
inline Words right_signed(Words a) {
  return _mm256_srai_epi32(a, Bits);
}
inline Words left_by(Words a, int bits) { return _mm256_sll_epi32(a, _mm_cvtsi32_si128(bits)); }
template <int Bytes>
inline Words joined(Words low, Words high) {
  return either(right<8 * Bytes>(low), left<32 - 8 * Bytes>(high));
}
inline Words table(const void* p) {
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(p)));
}
inline Words look_up(Words values, Words index) { return _mm256_shuffle_epi8(values, index); }

inline Floats to_floats(Words a) { return _mm256_cvtepi32_ps(a); }
inline Floats as_floats(Words a) { return _mm256_castsi256_ps(a); }
inline Floats from_half(Words a) {
  const Words low = both(a, splat(0xffff));
  const Words packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
  return _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
}
inline Floats product_of(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
inline Floats negated(Floats a) { return _mm256_xor_ps(a, _mm256_set1_ps(-0.0F)); }
inline Floats fused(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }

inline __m256i mask_below(std::size_t count) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), index);
}
inline Floats load_floats(const float* p, std::size_t count) {
  return _mm256_maskload_ps(p, mask_below(count));
}
inline void store_floats(float* p, Floats a, std::size_t count) {
  _mm256_maskstore_ps(p, mask_below(count), a);
}

inline __m128i load16(const std::uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
inline void load_words(const std::uint8_t* p, std::size_t stride, Words* out) {
  Words z[4];
  unrolled<4>([&](auto i) {
    const std::uint8_t* row = p + i.value * stride;
    z[i.value] =
        _mm256_inserti128_si256(_mm256_castsi128_si256(load16(row)), load16(row + 4 * stride), 1);
  });
  const Words a = _mm256_unpacklo_epi32(z[0], z[1]), b = _mm256_unpackhi_epi32(z[0], z[1]);
  const Words c = _mm256_unpacklo_epi32(z[2], z[3]), d = _mm256_unpackhi_epi32(z[2], z[3]);
  out[0] = _mm256_unpacklo_epi64(a, c);
  out[1] = _mm256_unpackhi_epi64(a, c);
  out[2] = _mm256_unpacklo_epi64(b, d);
  out[3] = _mm256_unpackhi_epi64(b, d);
}

// Codes with a sign stay as they are: x takes their sign instead.
inline Words signed_codes(Words a) { return a; }
constexpr int kSignedOffsetBits = -1;

inline Words byte_products(Words sum, Words codes, Words x) {
  return _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, x));
}

// Products of bytes are added in pairs to 16 bits. Shape::kMost is the largest code: it says how
// many pairs of 2 * 127 * kMost fit below 2^15 before they must be widened. Codes with a sign reach
// 128, of which one pair fits.
template <typename Shape, std::size_t First, std::size_t Count, std::size_t R, std::size_t O,
          typename Codes, typename Rows, typename Start>
[[gnu::always_inline]] inline void dots(const Codes& codes, const Rows& x, const Start& start,
                                        Words* sums) {
  constexpr std::size_t kFit = 32767 / (2 * 127 * Shape::kMost);
  constexpr std::size_t kPairs = kFit >= Count ? Count : kFit >= 4 ? 4 : kFit >= 2 ? 2 : 1;
  static_assert(kFit >= 1 && Count % kPairs == 0);
  const __m256i ones = _mm256_set1_epi16(1);
  unrolled<Count / kPairs>([&](auto group) {
    Words narrow[R * O];
    unrolled<kPairs>([&](auto i) {
      constexpr std::size_t kWord = First + group.value * kPairs + i.value;
      Words c[O];
      unrolled<O>([&](auto o) { c[o.value] = codes(o, Constant<kWord>{}); });
      unrolled<R>([&](auto r) {
        const Words xw = splat_word(x(r) + 4 * kWord);
        unrolled<O>([&](auto o) {
          Words pairs;
          if constexpr (Shape::kSigned) {
            pairs =
                _mm256_maddubs_epi16(_mm256_abs_epi8(c[o.value]), _mm256_sign_epi8(xw, c[o.value]));
          } else {
            pairs = _mm256_maddubs_epi16(c[o.value], xw);
          }
          Words& to = narrow[r.value * O + o.value];
          to = i.value == 0 ? pairs : _mm256_add_epi16(to, pairs);
        });
      });
    });
    unrolled<R>([&](auto r) {
      unrolled<O>([&](auto o) {
        constexpr std::size_t kAt = r.value * O + o.value;
        const Words wide = _mm256_madd_epi16(narrow[kAt], ones);
        sums[kAt] = group.value == 0 ? wide : plus(sums[kAt], wide);
      });
    });
  });
  if constexpr (!Shape::kSigned && Shape::kOffsetBits >= 0) {
    unrolled<R>([&](auto r) {
      const Words first = start(r);
      unrolled<O>(
          [&](auto o) { sums[r.value * O + o.value] = plus(sums[r.value * O + o.value], first); });
    });
  }
}

}  // namespace
}  // namespace switchyard::kernels
