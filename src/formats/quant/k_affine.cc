// Super-blocks with scales and minima: Q2_K, Q4_K and Q5_K.
#include <cstring>

#include "formats/dtype.h"
#include "formats/quant/affine_super.h"
#include "formats/quant/block_io.h"
#include "formats/quant/codecs.h"
#include "kernels/blocks.h"

namespace switchyard::quant {
namespace {

using kernels::BlockQ2_K;
using kernels::BlockQ4_K;
using kernels::BlockQ5_K;
using kernels::kSuperBlock;

// Scales and minima of 8 sub-blocks, 6 bits each, in 12 bytes: bytes 0..3 hold scales 0..3 and
// bytes 4..7 minima 0..3 in their low 6 bits; bytes 8..11 hold the low 4 bits of scale and minimum
// 4..7, whose upper 2 bits are on top of bytes 0..3 and 4..7.
struct SixBits {
  std::uint8_t scales[8];
  std::uint8_t minima[8];
};

SixBits unpack_six_bits(const std::uint8_t (&packed)[12]) {
  SixBits s;
  for (int j = 0; j < 4; ++j) {
    s.scales[j] = packed[j] & 63U;
    s.minima[j] = packed[j + 4] & 63U;
    s.scales[j + 4] = static_cast<std::uint8_t>((packed[j + 8] & 15U) | (packed[j] >> 6) << 4);
    s.minima[j + 4] = static_cast<std::uint8_t>((packed[j + 8] >> 4) | (packed[j + 4] >> 6) << 4);
  }
  return s;
}

void pack_six_bits(const std::array<int, 8>& scales, const std::array<int, 8>& minima,
                   std::uint8_t (&packed)[12]) {
  for (int j = 0; j < 4; ++j) {
    packed[j] = static_cast<std::uint8_t>(scales[j] | (scales[j + 4] >> 4) << 6);
    packed[j + 4] = static_cast<std::uint8_t>(minima[j] | (minima[j + 4] >> 4) << 6);
    packed[j + 8] = static_cast<std::uint8_t>((scales[j + 4] & 15) | (minima[j + 4] & 15) << 4);
  }
}

constexpr float kSpans2[] = {2, 2.25, 2.5, 2.75, 3, 3.25, 3.5, 4};
constexpr float kShifts2[] = {-0.75, -0.5, -0.25, 0, 0.25};
constexpr float kSpans4[] = {12.5, 13, 13.5, 14, 14.5, 15, 15.5, 16};
constexpr float kSpans5[] = {29, 30, 30.5, 31, 31.5, 32, 32.5};
constexpr float kShifts[] = {-0.5, -0.25, 0, 0.25};
constexpr float kScaleTargets4[] = {11, 12, 13, 14, 14.5, 15, 15.5, 16};
constexpr float kScaleTargets6[] = {54, 56, 58, 60, 61, 62, 63, 64};

constexpr AffineSearch kSearch2 = {{0, 3}, {kSpans2, kShifts2}, {0, 15}, kScaleTargets4};
constexpr AffineSearch kSearch4 = {{0, 15}, {kSpans4, kShifts}, {0, 63}, kScaleTargets6};
constexpr AffineSearch kSearch5 = {{0, 31}, {kSpans5, kShifts}, {0, 63}, kScaleTargets6};

template <int Sub>
struct Encoded {
  AffineSuper<Sub> super;
  std::uint8_t codes[kSuperBlock];
};

template <int Sub>
Encoded<Sub> encode_super(const float* x, const float* importance, const AffineSearch& search) {
  const auto v = prepare<kSuperBlock>(x, importance);
  Encoded<Sub> e;
  e.super = search_super<Sub>(v, search);
  alignas(16) float q[Sub];
  for (std::size_t j = 0; j < kSubBlocks<Sub>; ++j) {
    affine_codes<Sub>(v.x + j * Sub, e.super.scale(j), e.super.minimum(j), search.codes, q);
    for (int i = 0; i < Sub; ++i) e.codes[j * Sub + i] = static_cast<std::uint8_t>(q[i]);
  }
  return e;
}

}  // namespace

void decode_q2_k(const std::byte* blocks, std::size_t n_blocks, float* out) {
  decode_each<BlockQ2_K, kSuperBlock>(blocks, n_blocks, out, [](const BlockQ2_K& b, float* y) {
    const float d = f16_to_f32(b.d);
    const float dmin = f16_to_f32(b.dmin);
    for (std::size_t j = 0; j < 16; ++j) {
      const float scale = d * static_cast<float>(b.scales[j] & 15U);
      const float minimum = dmin * static_cast<float>(b.scales[j] >> 4);
      // Two bits of 32 bytes serve two sub-blocks; a half of 128 values has 32 bytes.
      const std::uint8_t* q = b.qs + j / 8 * 32 + j % 2 * 16;
      const std::size_t shift = j % 8 / 2 * 2;
      for (int i = 0; i < 16; ++i)
        y[16 * j + i] = scale * static_cast<float>(q[i] >> shift & 3U) - minimum;
    }
  });
}

void decode_q4_k(const std::byte* blocks, std::size_t n_blocks, float* out) {
  decode_each<BlockQ4_K, kSuperBlock>(blocks, n_blocks, out, [](const BlockQ4_K& b, float* y) {
    const float d = f16_to_f32(b.d);
    const float dmin = f16_to_f32(b.dmin);
    const SixBits s = unpack_six_bits(b.scales);
    for (std::size_t j = 0; j < 8; ++j) {
      const float scale = d * static_cast<float>(s.scales[j]);
      const float minimum = dmin * static_cast<float>(s.minima[j]);
      const std::uint8_t* q = b.qs + j / 2 * 32;
      const std::size_t shift = j % 2 * 4;
      for (int i = 0; i < 32; ++i)
        y[32 * j + i] = scale * static_cast<float>(q[i] >> shift & 15U) - minimum;
    }
  });
}

void decode_q5_k(const std::byte* blocks, std::size_t n_blocks, float* out) {
  decode_each<BlockQ5_K, kSuperBlock>(blocks, n_blocks, out, [](const BlockQ5_K& b, float* y) {
    const float d = f16_to_f32(b.d);
    const float dmin = f16_to_f32(b.dmin);
    const SixBits s = unpack_six_bits(b.scales);
    for (std::size_t j = 0; j < 8; ++j) {
      const float scale = d * static_cast<float>(s.scales[j]);
      const float minimum = dmin * static_cast<float>(s.minima[j]);
      const std::uint8_t* q = b.qs + j / 2 * 32;
      const std::size_t shift = j % 2 * 4;
      for (int i = 0; i < 32; ++i) {
        const unsigned code = (q[i] >> shift & 15U) | (b.qh[i] >> j & 1U) << 4;
        y[32 * j + i] = scale * static_cast<float>(code) - minimum;
      }
    }
  });
}

void encode_q2_k(const float* x, const float* importance, std::size_t n_blocks, std::byte* out) {
  encode_each<BlockQ2_K, kSuperBlock>(
      x, importance, n_blocks, out, [](const float* values, const float* weights, BlockQ2_K& b) {
        const auto e = encode_super<16>(values, weights, kSearch2);
        b.d = e.super.shared.d.bits;
        b.dmin = e.super.shared.dmin.bits;
        for (std::size_t j = 0; j < 16; ++j) {
          b.scales[j] = static_cast<std::uint8_t>(e.super.scales[j] | e.super.minima[j] << 4);
          std::uint8_t* q = b.qs + j / 8 * 32 + j % 2 * 16;
          const std::size_t shift = j % 8 / 2 * 2;
          for (int i = 0; i < 16; ++i)
            q[i] |= static_cast<std::uint8_t>(e.codes[16 * j + i] << shift);
        }
      });
}

void encode_q4_k(const float* x, const float* importance, std::size_t n_blocks, std::byte* out) {
  encode_each<BlockQ4_K, kSuperBlock>(
      x, importance, n_blocks, out, [](const float* values, const float* weights, BlockQ4_K& b) {
        const auto e = encode_super<32>(values, weights, kSearch4);
        b.d = e.super.shared.d.bits;
        b.dmin = e.super.shared.dmin.bits;
        pack_six_bits(e.super.scales, e.super.minima, b.scales);
        for (std::size_t j = 0; j < 8; ++j) {
          for (int i = 0; i < 32; ++i)
            b.qs[j / 2 * 32 + i] |= static_cast<std::uint8_t>(e.codes[32 * j + i] << j % 2 * 4);
        }
      });
}

void encode_q5_k(const float* x, const float* importance, std::size_t n_blocks, std::byte* out) {
  encode_each<BlockQ5_K, kSuperBlock>(
      x, importance, n_blocks, out, [](const float* values, const float* weights, BlockQ5_K& b) {
        const auto e = encode_super<32>(values, weights, kSearch5);
        b.d = e.super.shared.d.bits;
        b.dmin = e.super.shared.dmin.bits;
        pack_six_bits(e.super.scales, e.super.minima, b.scales);
        for (std::size_t j = 0; j < 8; ++j) {
          for (int i = 0; i < 32; ++i) {
            const unsigned code = e.codes[32 * j + i];
            b.qs[j / 2 * 32 + i] |= static_cast<std::uint8_t>((code & 15U) << j % 2 * 4);
            b.qh[i] |= static_cast<std::uint8_t>((code >> 4) << j);
          }
        }
      });
}

}  // namespace switchyard::quant
