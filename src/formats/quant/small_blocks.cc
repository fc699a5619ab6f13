// Blocks of 32 values with one scale, or scale and minimum, of their own: Q4_0, Q4_1, Q5_0, Q5_1
// and Q8_0.
#include <algorithm>
#include <cstring>

#include "formats/dtype.h"
#include "formats/quant/block_io.h"
#include "formats/quant/codecs.h"
#include "formats/quant/scale_search.h"
#include "kernels/blocks.h"

namespace switchyard::quant {
namespace {

using kernels::BlockQ4_0;
using kernels::BlockQ4_1;
using kernels::BlockQ5_0;
using kernels::BlockQ5_1;
using kernels::BlockQ8_0;
using kernels::kBlock;

std::uint32_t bits_of(const std::uint8_t (&qh)[4]) {
  std::uint32_t bits;
  std::memcpy(&bits, qh, sizeof(bits));
  return bits;
}

// Codes 0..15, or 0..31 with the fifth bits in `high`.
void unpack(const std::uint8_t (&qs)[16], std::uint32_t high, float minus, float* out) {
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<float>((qs[j] & 15U) | ((high >> j & 1U) << 4)) - minus;
    out[j + 16] = static_cast<float>((qs[j] >> 4) | ((high >> (j + 16) & 1U) << 4)) - minus;
  }
}

std::uint32_t pack(const float* codes, float plus, std::uint8_t (&qs)[16]) {
  std::uint32_t high = 0;
  for (int j = 0; j < 16; ++j) {
    const auto a = static_cast<std::uint32_t>(codes[j] + plus);
    const auto b = static_cast<std::uint32_t>(codes[j + 16] + plus);
    qs[j] = static_cast<std::uint8_t>((a & 15U) | (b & 15U) << 4);
    high |= (a >> 4) << j | (b >> 4) << (j + 16);
  }
  return high;
}

// scale * code: what the extreme value is mapped to, on either end of the range.
constexpr float kTargets4[] = {-10,  -9.5,  -9,   -8.75, -8.5, -8.25, -8,  -7.75,
                               -7.5, -7.25, -7,   -6.5,  -6,   6,     6.5, 7,
                               7.25, 7.5,   7.75, 8,     8.25, 8.5,   9,   9.5};
constexpr float kTargets5[] = {-19, -18, -17.5, -17, -16.5, -16, -15.5, -15, -14,
                               14,  15,  15.5,  16,  16.5,  17,  17.5,  18};
constexpr float kTargets8[] = {127, 126, 125, 124, 123, 122};

struct Symmetric {
  Scale d;
  alignas(16) float codes[kBlock];
};

Symmetric encode_symmetric(const float* x, const float* importance, const WholeCodes& codes,
                           std::span<const float> targets) {
  const auto v = prepare<kBlock>(x, importance);
  const ScaleFit fit = search_scale<kBlock>(v.x, v.w, codes, targets);
  Symmetric block;
  block.d = best_stored_scale<kBlock>(v, v.unit.nearest(fit.scale), codes);
  const float inverse = inverse_of(block.d.value);
  for (int i = 0; i < kBlock; i += 4)
    store(block.codes + i, codes.nearest(load(v.x + i) * splat(inverse)));
  return block;
}

// scale * code + minimum
constexpr float kSpans4[] = {13.5, 14, 14.5, 14.75, 15, 15.25, 15.5, 16, 16.5, 17};
constexpr float kSpans5[] = {30, 30.5, 31, 31.5, 32, 32.5};
constexpr float kShifts[] = {-0.5, -0.25, 0, 0.25};

struct Affine {
  Scale d, m;
  alignas(16) float codes[kBlock];
};

Affine encode_affine(const float* x, const float* importance, const WholeCodes& codes,
                     std::span<const float> spans) {
  const auto v = prepare<kBlock>(x, importance);
  // From the least value on, so that sums do not cancel where all values are nearly the same.
  const float low = *std::min_element(v.x, v.x + kBlock);
  alignas(16) float above[kBlock];
  for (int i = 0; i < kBlock; ++i) above[i] = v.x[i] - low;
  const AffineSums sums = affine_sums<kBlock>(above, v.w, false);
  const AffineFit fit = search_affine<kBlock>(above, v.w, sums, codes, {spans, kShifts});
  Affine block{.d = v.unit.nearest(fit.scale), .m = v.unit.nearest(low - fit.minimum), .codes = {}};
  affine_codes<kBlock>(v.x, block.d.value, -block.m.value, codes, block.codes);
  return block;
}

}  // namespace

void decode_q4_0(const std::byte* blocks, std::size_t n_blocks, float* out) {
  decode_each<BlockQ4_0, kBlock>(blocks, n_blocks, out, [](const BlockQ4_0& b, float* y) {
    const float d = f16_to_f32(b.d);
    unpack(b.qs, 0, 8, y);
    for (int i = 0; i < kBlock; ++i) y[i] *= d;
  });
}

void decode_q4_1(const std::byte* blocks, std::size_t n_blocks, float* out) {
  decode_each<BlockQ4_1, kBlock>(blocks, n_blocks, out, [](const BlockQ4_1& b, float* y) {
    const float d = f16_to_f32(b.d);
    const float m = f16_to_f32(b.m);
    unpack(b.qs, 0, 0, y);
    for (int i = 0; i < kBlock; ++i) y[i] = y[i] * d + m;
  });
}

void decode_q5_0(const std::byte* blocks, std::size_t n_blocks, float* out) {
  decode_each<BlockQ5_0, kBlock>(blocks, n_blocks, out, [](const BlockQ5_0& b, float* y) {
    const float d = f16_to_f32(b.d);
    unpack(b.qs, bits_of(b.qh), 16, y);
    for (int i = 0; i < kBlock; ++i) y[i] *= d;
  });
}

void decode_q5_1(const std::byte* blocks, std::size_t n_blocks, float* out) {
  decode_each<BlockQ5_1, kBlock>(blocks, n_blocks, out, [](const BlockQ5_1& b, float* y) {
    const float d = f16_to_f32(b.d);
    const float m = f16_to_f32(b.m);
    unpack(b.qs, bits_of(b.qh), 0, y);
    for (int i = 0; i < kBlock; ++i) y[i] = y[i] * d + m;
  });
}

void decode_q8_0(const std::byte* blocks, std::size_t n_blocks, float* out) {
  decode_each<BlockQ8_0, kBlock>(blocks, n_blocks, out, [](const BlockQ8_0& b, float* y) {
    const float d = f16_to_f32(b.d);
    for (int i = 0; i < kBlock; ++i) y[i] = static_cast<float>(b.qs[i]) * d;
  });
}

void encode_q4_0(const float* x, const float* importance, std::size_t n_blocks, std::byte* out) {
  encode_each<BlockQ4_0, kBlock>(
      x, importance, n_blocks, out, [](const float* values, const float* weights, BlockQ4_0& b) {
        const Symmetric s = encode_symmetric(values, weights, {-8, 7}, kTargets4);
        b.d = s.d.bits;
        pack(s.codes, 8, b.qs);
      });
}

void encode_q4_1(const float* x, const float* importance, std::size_t n_blocks, std::byte* out) {
  encode_each<BlockQ4_1, kBlock>(
      x, importance, n_blocks, out, [](const float* values, const float* weights, BlockQ4_1& b) {
        const Affine a = encode_affine(values, weights, {0, 15}, kSpans4);
        b.d = a.d.bits;
        b.m = a.m.bits;
        pack(a.codes, 0, b.qs);
      });
}

void encode_q5_0(const float* x, const float* importance, std::size_t n_blocks, std::byte* out) {
  encode_each<BlockQ5_0, kBlock>(
      x, importance, n_blocks, out, [](const float* values, const float* weights, BlockQ5_0& b) {
        const Symmetric s = encode_symmetric(values, weights, {-16, 15}, kTargets5);
        b.d = s.d.bits;
        const std::uint32_t high = pack(s.codes, 16, b.qs);
        std::memcpy(b.qh, &high, sizeof(high));
      });
}

void encode_q5_1(const float* x, const float* importance, std::size_t n_blocks, std::byte* out) {
  encode_each<BlockQ5_1, kBlock>(
      x, importance, n_blocks, out, [](const float* values, const float* weights, BlockQ5_1& b) {
        const Affine a = encode_affine(values, weights, {0, 31}, kSpans5);
        b.d = a.d.bits;
        b.m = a.m.bits;
        const std::uint32_t high = pack(a.codes, 0, b.qs);
        std::memcpy(b.qh, &high, sizeof(high));
      });
}

// -128 is left out: kernels may take the magnitude of a code in 8 bits.
void encode_q8_0(const float* x, const float* importance, std::size_t n_blocks, std::byte* out) {
  encode_each<BlockQ8_0, kBlock>(
      x, importance, n_blocks, out, [](const float* values, const float* weights, BlockQ8_0& b) {
        const Symmetric s = encode_symmetric(values, weights, {-127, 127}, kTargets8);
        b.d = s.d.bits;
        for (int i = 0; i < kBlock; ++i) b.qs[i] = static_cast<std::int8_t>(s.codes[i]);
      });
}

}  // namespace switchyard::quant
