// Codes that are not evenly spaced: IQ4_NL, IQ4_XS and MXFP4.
#include <bit>
#include <cstring>

#include "formats/dtype.h"
#include "formats/quant/block_io.h"
#include "formats/quant/codecs.h"
#include "formats/quant/symmetric_super.h"
#include "kernels/blocks.h"

namespace switchyard::quant {
namespace {

using kernels::BlockIQ4_NL;
using kernels::BlockIQ4_XS;
using kernels::BlockMXFP4;
using kernels::kBlock;
using kernels::kNonLinear4;
using kernels::kSuperBlock;
using kernels::kTwiceFp4;

// The code nearest to every multiple of a half: the middle between two codes is such a multiple, so
// the nearest code of v is that of 2 v rounded down.
template <int Least, int Largest>
class HalvesTable {
 public:
  template <typename Value>
  explicit constexpr HalvesTable(const Value (&codes)[16]) {
    for (int half = 2 * Least; half <= 2 * Largest; ++half) {
      int best = 0;
      for (int c = 1; c < 16; ++c) {
        const int off = magnitude(2 * codes[c] - half);
        const int off_best = magnitude(2 * codes[best] - half);
        // In the middle the upper one, as for all that is rounded down to it.
        if (off < off_best || (off == off_best && codes[c] > codes[best])) best = c;
      }
      code_[half - 2 * Least] = static_cast<std::uint8_t>(best);
      value_[half - 2 * Least] = codes[best];
    }
  }

  F4 nearest(F4 v) const {
    // Not negative, so truncation rounds down.
    const F4 halves = (clamp(v, Least, Largest) - splat(Least)) * splat(2);
    return F4{value_[static_cast<int>(halves[0])], value_[static_cast<int>(halves[1])],
              value_[static_cast<int>(halves[2])], value_[static_cast<int>(halves[3])]};
  }
  std::uint8_t code_of(float value) const { return code_[static_cast<int>((value - Least) * 2)]; }

 private:
  static constexpr int magnitude(int v) { return v < 0 ? -v : v; }

  std::uint8_t code_[2 * (Largest - Least) + 1]{};
  float value_[2 * (Largest - Least) + 1]{};
};

constexpr HalvesTable<-127, 113> kNonLinear(kNonLinear4);
constexpr HalvesTable<-12, 12> kFp4(kTwiceFp4);

// Low nibbles are values 0..15, high nibbles 16..31.
template <typename Value>
void unpack(const std::uint8_t* qs, const Value (&codes)[16], float scale, float* out) {
  for (std::size_t j = 0; j < 16; ++j) {
    out[j] = scale * static_cast<float>(codes[qs[j] & 15U]);
    out[j + 16] = scale * static_cast<float>(codes[qs[j] >> 4]);
  }
}

template <typename Table>
void pack(const float* x, float scale, const Table& table, std::uint8_t* qs) {
  const float inverse = inverse_of(scale);
  alignas(16) float q[kBlock];
  for (int i = 0; i < kBlock; i += 4) store(q + i, table.nearest(load(x + i) * splat(inverse)));
  for (std::size_t j = 0; j < 16; ++j)
    qs[j] = static_cast<std::uint8_t>(table.code_of(q[j]) | table.code_of(q[j + 16]) << 4);
}

constexpr float kTargets[] = {-150, -143, -136, -130, -127, -124, -120, -116, -112, -108, -104,
                              -98,  92,   97,   101,  105,  109,  113,  117,  121,  126,  132};
constexpr float kScaleTargets[] = {-33, -32, -31, -30, -29, -28, -27, -26,
                                   26,  27,  28,  29,  30,  31,  32};

// 2^(e - 128): the scale of a block of MXFP4 for codes that are doubled.
float half_scale(std::uint8_t e) {
  // The two least are subnormal.
  return std::bit_cast<float>(e < 2 ? 0x00200000U << e : static_cast<std::uint32_t>(e - 1) << 23);
}

}  // namespace

void decode_iq4_nl(const std::byte* blocks, std::size_t n_blocks, float* out) {
  decode_each<BlockIQ4_NL, kBlock>(blocks, n_blocks, out, [](const BlockIQ4_NL& b, float* y) {
    unpack(b.qs, kNonLinear4, f16_to_f32(b.d), y);
  });
}

void decode_iq4_xs(const std::byte* blocks, std::size_t n_blocks, float* out) {
  decode_each<BlockIQ4_XS, kSuperBlock>(blocks, n_blocks, out, [](const BlockIQ4_XS& b, float* y) {
    const float d = f16_to_f32(b.d);
    for (std::size_t j = 0; j < 8; ++j) {
      const unsigned low = b.scales_l[j / 2] >> (j % 2 * 4) & 15U;
      const unsigned high = b.scales_h >> (2 * j) & 3U;
      const int scale = static_cast<int>(low | high << 4) - 32;
      unpack(b.qs + 16 * j, kNonLinear4, d * static_cast<float>(scale), y + 32 * j);
    }
  });
}

void decode_mxfp4(const std::byte* blocks, std::size_t n_blocks, float* out) {
  decode_each<BlockMXFP4, kBlock>(blocks, n_blocks, out, [](const BlockMXFP4& b, float* y) {
    unpack(b.qs, kTwiceFp4, half_scale(b.e), y);
  });
}

void encode_iq4_nl(const float* x, const float* importance, std::size_t n_blocks, std::byte* out) {
  encode_each<BlockIQ4_NL, kBlock>(
      x, importance, n_blocks, out, [](const float* values, const float* weights, BlockIQ4_NL& b) {
        const auto v = prepare<kBlock>(values, weights);
        const ScaleFit fit = search_scale<kBlock>(v.x, v.w, kNonLinear, kTargets);
        const Scale d = best_stored_scale<kBlock>(v, v.unit.nearest(fit.scale), kNonLinear);
        b.d = d.bits;
        pack(v.x, d.value, kNonLinear, b.qs);
      });
}

void encode_iq4_xs(const float* x, const float* importance, std::size_t n_blocks, std::byte* out) {
  encode_each<BlockIQ4_XS, kSuperBlock>(
      x, importance, n_blocks, out, [](const float* values, const float* weights, BlockIQ4_XS& b) {
        const auto v = prepare<kSuperBlock>(values, weights);
        const auto super =
            search_super<kBlock>(v, kNonLinear, {kTargets, {-32, 31}, kScaleTargets});
        b.d = super.d.bits;
        for (std::size_t j = 0; j < 8; ++j) {
          const auto stored = static_cast<unsigned>(super.scales[j] + 32);
          b.scales_l[j / 2] |= static_cast<std::uint8_t>((stored & 15U) << (j % 2 * 4));
          b.scales_h |= static_cast<std::uint16_t>((stored >> 4) << (2 * j));
          pack(v.x + 32 * j, super.scale(j), kNonLinear, b.qs + 16 * j);
        }
      });
}

// The scale is a power of two, so there are only a few to try: the largest magnitude lies between
// 2 and 4, 4 and 8 or 8 and 16 times it. The largest code is 6.
void encode_mxfp4(const float* x, const float* importance, std::size_t n_blocks, std::byte* out) {
  encode_each<BlockMXFP4, kBlock>(
      x, importance, n_blocks, out, [](const float* values, const float* weights, BlockMXFP4& b) {
        const auto v = prepare<kBlock>(values, weights);
        if (extreme<kBlock>(v.x) == 0) return;
        float least = std::numeric_limits<float>::infinity();
        float best_scale = 0;
        for (const int log_magnitude : {3, 2, 4}) {
          // Above, the largest code would be infinite in fp32.
          const int e = std::clamp(127 + v.unit.exponent - log_magnitude, 0, 252);
          // Of codes that are doubled.
          const float scale = std::ldexp(0.5F, e - 127 - v.unit.exponent);
          const float error = error_of<kBlock>(v.x, v.w, scale, kFp4);
          if (error < least) {
            least = error;
            best_scale = scale;
            b.e = static_cast<std::uint8_t>(e);
          }
        }
        pack(v.x, best_scale, kFp4, b.qs);
      });
}

}  // namespace switchyard::quant
