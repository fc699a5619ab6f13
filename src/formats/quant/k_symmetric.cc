// Super-blocks with signed scales and no minima: Q3_K and Q6_K.
#include <cstring>

#include "formats/dtype.h"
#include "formats/quant/block_io.h"
#include "formats/quant/codecs.h"
#include "formats/quant/symmetric_super.h"
#include "kernels/blocks.h"

namespace switchyard::quant {
namespace {

using kernels::BlockQ3_K;
using kernels::BlockQ6_K;
using kernels::kSuperBlock;

// Scales of 16 sub-blocks, 6 bits each: scale j has its low 4 bits in byte j % 8, its upper 2 bits
// in byte 8 + j % 4.
int scale_q3(const std::uint8_t (&packed)[12], std::size_t j) {
  const unsigned low = packed[j % 8] >> (j / 8 * 4) & 15U;
  const unsigned high = packed[8 + j % 4] >> (j / 4 * 2) & 3U;
  return static_cast<int>(low | high << 4) - 32;
}

void set_scale_q3(std::uint8_t (&packed)[12], std::size_t j, int scale) {
  const auto stored = static_cast<unsigned>(scale + 32);
  packed[j % 8] |= static_cast<std::uint8_t>((stored & 15U) << (j / 8 * 4));
  packed[8 + j % 4] |= static_cast<std::uint8_t>((stored >> 4) << (j / 4 * 2));
}

// Where the codes of 16 values of Q6_K lie. A half of 128 values has 64 bytes of low nibbles (32
// serve values 0..31 and 64..95, 32 the others) and 32 bytes of upper bits.
struct PlaceQ6 {
  std::size_t low, low_shift, high, high_shift;
};
PlaceQ6 place_q6(std::size_t sub) {
  const std::size_t quarter = sub % 8 / 2;
  return {.low = sub / 8 * 64 + quarter % 2 * 32 + sub % 2 * 16,
          .low_shift = quarter / 2 * 4,
          .high = sub / 8 * 32 + sub % 2 * 16,
          .high_shift = quarter * 2};
}

constexpr float kTargets3[] = {-5,  -4.75, -4.5, -4.25, -4,  -3.75, -3.5, -3.25, -3, -2.75,
                               2.5, 2.75,  3,    3.25,  3.5, 3.75,  4,    4.25,  4.5};
constexpr float kTargets6[] = {-33, -32.5, -32, -31.5, -31, -30.5, -30, -29.5, -29,
                               29,  29.5,  30,  30.5,  31,  31.5,  32,  32.5};
constexpr float kScaleTargets6[] = {-33, -32, -31, -30, -29, -28, -27, -26,
                                    26,  27,  28,  29,  30,  31,  32};
constexpr float kScaleTargets8[] = {-128, -126, -124, -122, -120, 120, 122, 124, 126, 127};

struct Encoded {
  SymmetricSuper<16> super;
  std::uint8_t codes[kSuperBlock];  // the lowest code is 0
};

Encoded encode_super(const float* x, const float* importance, const WholeCodes& codes,
                     const SymmetricSearch& search) {
  const auto v = prepare<kSuperBlock>(x, importance);
  Encoded e;
  e.super = search_super<16>(v, codes, search);
  for (std::size_t j = 0; j < 16; ++j) {
    const float inverse = inverse_of(e.super.scale(j));
    for (std::size_t i = 16 * j; i < 16 * (j + 1); i += 4) {
      const F4 q = codes.nearest(load(v.x + i) * splat(inverse)) - splat(codes.low);
      for (int k = 0; k < 4; ++k) e.codes[i + k] = static_cast<std::uint8_t>(q[k]);
    }
  }
  return e;
}

}  // namespace

void decode_q3_k(const std::byte* blocks, std::size_t n_blocks, float* out) {
  decode_each<BlockQ3_K, kSuperBlock>(blocks, n_blocks, out, [](const BlockQ3_K& b, float* y) {
    const float d = f16_to_f32(b.d);
    for (std::size_t j = 0; j < 16; ++j) {
      const float scale = d * static_cast<float>(scale_q3(b.scales, j));
      const std::uint8_t* q = b.qs + j / 8 * 32 + j % 2 * 16;
      const std::uint8_t* high = b.hmask + j % 2 * 16;
      const std::size_t shift = j % 8 / 2 * 2;
      for (int i = 0; i < 16; ++i) {
        const unsigned code = (q[i] >> shift & 3U) | (high[i] >> (j / 2) & 1U) << 2;
        y[16 * j + i] = scale * static_cast<float>(static_cast<int>(code) - 4);
      }
    }
  });
}

void decode_q6_k(const std::byte* blocks, std::size_t n_blocks, float* out) {
  decode_each<BlockQ6_K, kSuperBlock>(blocks, n_blocks, out, [](const BlockQ6_K& b, float* y) {
    const float d = f16_to_f32(b.d);
    for (std::size_t j = 0; j < 16; ++j) {
      const float scale = d * static_cast<float>(b.scales[j]);
      const PlaceQ6 at = place_q6(j);
      for (int i = 0; i < 16; ++i) {
        const unsigned code = (b.ql[at.low + i] >> at.low_shift & 15U) |
                              (b.qh[at.high + i] >> at.high_shift & 3U) << 4;
        y[16 * j + i] = scale * static_cast<float>(static_cast<int>(code) - 32);
      }
    }
  });
}

void encode_q3_k(const float* x, const float* importance, std::size_t n_blocks, std::byte* out) {
  encode_each<BlockQ3_K, kSuperBlock>(
      x, importance, n_blocks, out, [](const float* values, const float* weights, BlockQ3_K& b) {
        const Encoded e =
            encode_super(values, weights, {-4, 3}, {kTargets3, {-32, 31}, kScaleTargets6});
        b.d = e.super.d.bits;
        for (std::size_t j = 0; j < 16; ++j) {
          set_scale_q3(b.scales, j, e.super.scales[j]);
          std::uint8_t* q = b.qs + j / 8 * 32 + j % 2 * 16;
          std::uint8_t* high = b.hmask + j % 2 * 16;
          const std::size_t shift = j % 8 / 2 * 2;
          for (int i = 0; i < 16; ++i) {
            const unsigned code = e.codes[16 * j + i];
            q[i] |= static_cast<std::uint8_t>((code & 3U) << shift);
            high[i] |= static_cast<std::uint8_t>((code >> 2) << (j / 2));
          }
        }
      });
}

void encode_q6_k(const float* x, const float* importance, std::size_t n_blocks, std::byte* out) {
  encode_each<BlockQ6_K, kSuperBlock>(
      x, importance, n_blocks, out, [](const float* values, const float* weights, BlockQ6_K& b) {
        const Encoded e =
            encode_super(values, weights, {-32, 31}, {kTargets6, {-128, 127}, kScaleTargets8});
        b.d = e.super.d.bits;
        for (std::size_t j = 0; j < 16; ++j) {
          b.scales[j] = static_cast<std::int8_t>(e.super.scales[j]);
          const PlaceQ6 at = place_q6(j);
          for (int i = 0; i < 16; ++i) {
            const unsigned code = e.codes[16 * j + i];
            b.ql[at.low + i] |= static_cast<std::uint8_t>((code & 15U) << at.low_shift);
            b.qh[at.high + i] |= static_cast<std::uint8_t>((code >> 4) << at.high_shift);
          }
        }
      });
}

}  // namespace switchyard::quant
