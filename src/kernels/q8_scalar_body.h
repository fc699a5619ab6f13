// The product with quantised weights in plain C++, one output at a time, straight from the formulas
// of blocks.h and quantised.h: what the vector versions are held to. Included by set_scalar.cc.
#pragma once

#include <cstddef>

#include "kernels/blocks.h"
#include "kernels/kernels.h"
#include "kernels/quantised.h"

namespace switchyard::kernels {
namespace {

// What 32 weights contribute: q holds whole numbers; a type with one scale has 1 in both halves.
struct Weights32 {
  int q[32];
  int half_scales[2];
  float scale;
  int n_minima;     // 0, 1: minima[0] for all columns, 2: one for each half
  float minima[2];  // what is added, so the minus of a "K" type is in it
};

inline float running_sum(float sum, const Weights32& w, const Q8Block& x) {
  int total = 0;
  for (int h = 0; h < 2; ++h) {
    int half = 0;
    for (int i = 0; i < 16; ++i) half += w.q[16 * h + i] * x.q[16 * h + i];
    total += w.half_scales[h] * half;
  }
  if (w.n_minima == 1) sum = __builtin_fmaf(x.scaled_sum, w.minima[0], sum);
  if (w.n_minima == 2) {
    for (int h = 0; h < 2; ++h) sum = __builtin_fmaf(x.scaled_half_sums[h], w.minima[h], sum);
  }
  return __builtin_fmaf(static_cast<float>(total), x.scale * w.scale, sum);
}

inline Weights32 plain_block(float scale) {
  return {.q = {}, .half_scales = {1, 1}, .scale = scale, .n_minima = 0, .minima = {0, 0}};
}
inline int nibble(const std::uint8_t* qs, int i) { return i < 16 ? qs[i] & 15 : qs[i - 16] >> 4; }
inline int bit(const std::uint8_t* bits, int i) { return bits[i / 8] >> (i % 8) & 1; }

// part(block, j): columns 32 j to 32 j + 31 of a block.
inline Weights32 part(const BlockQ4_0& b, int) {
  Weights32 w = plain_block(half_to_float(b.d));
  for (int i = 0; i < 32; ++i) w.q[i] = nibble(b.qs, i) - 8;
  return w;
}
inline Weights32 part(const BlockQ4_1& b, int) {
  Weights32 w = plain_block(half_to_float(b.d));
  for (int i = 0; i < 32; ++i) w.q[i] = nibble(b.qs, i);
  w.n_minima = 1;
  w.minima[0] = half_to_float(b.m);
  return w;
}
inline Weights32 part(const BlockQ5_0& b, int) {
  Weights32 w = plain_block(half_to_float(b.d));
  for (int i = 0; i < 32; ++i) w.q[i] = nibble(b.qs, i) + 16 * bit(b.qh, i) - 16;
  return w;
}
inline Weights32 part(const BlockQ5_1& b, int) {
  Weights32 w = plain_block(half_to_float(b.d));
  for (int i = 0; i < 32; ++i) w.q[i] = nibble(b.qs, i) + 16 * bit(b.qh, i);
  w.n_minima = 1;
  w.minima[0] = half_to_float(b.m);
  return w;
}
inline Weights32 part(const BlockQ8_0& b, int) {
  Weights32 w = plain_block(half_to_float(b.d));
  for (int i = 0; i < 32; ++i) w.q[i] = b.qs[i];
  return w;
}
inline Weights32 part(const BlockIQ4_NL& b, int) {
  Weights32 w = plain_block(half_to_float(b.d));
  for (int i = 0; i < 32; ++i) w.q[i] = kNonLinear4[nibble(b.qs, i)];
  return w;
}
inline Weights32 part(const BlockMXFP4& b, int) {
  // 2^(e - 128), as the whole numbers are twice the values.
  Weights32 w = plain_block(__builtin_ldexpf(1.0F, b.e - 128));
  for (int i = 0; i < 32; ++i) w.q[i] = kTwiceFp4[nibble(b.qs, i)];
  return w;
}

inline Weights32 part(const BlockQ2_K& b, int j) {
  Weights32 w = plain_block(half_to_float(b.d));
  for (int i = 0; i < 32; ++i) w.q[i] = b.qs[j / 4 * 32 + i] >> (2 * (j % 4)) & 3;
  w.n_minima = 2;
  for (int h = 0; h < 2; ++h) {
    const int scale = b.scales[2 * j + h];
    w.half_scales[h] = scale & 15;
    w.minima[h] = -(half_to_float(b.dmin) * static_cast<float>(scale >> 4));
  }
  return w;
}
// The whole numbers are the negated ones, the scale too: so the product of a half's scale and q
// stays in 8 bits, -128 to 124.
inline Weights32 part(const BlockQ3_K& b, int j) {
  Weights32 w = plain_block(-half_to_float(b.d));
  for (int i = 0; i < 32; ++i) {
    const int low = b.qs[j / 4 * 32 + i] >> (2 * (j % 4)) & 3;
    w.q[i] = low + 4 * (b.hmask[i] >> j & 1) - 4;
  }
  for (int h = 0; h < 2; ++h) {
    const int s = 2 * j + h;
    const int low = s < 8 ? b.scales[s] & 15 : b.scales[s - 8] >> 4;
    const int high = b.scales[8 + s % 4] >> (2 * (s / 4)) & 3;
    w.half_scales[h] = 32 - (low + 16 * high);
  }
  return w;
}
// Scale and minimum of sub-block j of Q4_K and Q5_K, 6 bits each.
template <typename Block>
inline void set_scale_and_minimum(const Block& b, int j, Weights32& w) {
  const std::uint8_t* s = b.scales;
  const int scale = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
  const int minimum = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | (s[j] >> 6) << 4;
  w.scale = half_to_float(b.d) * static_cast<float>(scale);
  w.n_minima = 1;
  w.minima[0] = -(half_to_float(b.dmin) * static_cast<float>(minimum));
}
inline int nibble_of_pair(const std::uint8_t* qs, int j, int i) {
  return qs[j / 2 * 32 + i] >> (4 * (j % 2)) & 15;
}
inline Weights32 part(const BlockQ4_K& b, int j) {
  Weights32 w = plain_block(0);
  for (int i = 0; i < 32; ++i) w.q[i] = nibble_of_pair(b.qs, j, i);
  set_scale_and_minimum(b, j, w);
  return w;
}
inline Weights32 part(const BlockQ5_K& b, int j) {
  Weights32 w = plain_block(0);
  for (int i = 0; i < 32; ++i) w.q[i] = nibble_of_pair(b.qs, j, i) + 16 * (b.qh[i] >> j & 1);
  set_scale_and_minimum(b, j, w);
  return w;
}
inline Weights32 part(const BlockQ6_K& b, int j) {
  Weights32 w = plain_block(half_to_float(b.d));
  const int half = j / 4, quarter = j % 4;
  for (int i = 0; i < 32; ++i) {
    const int low = b.ql[64 * half + 32 * (quarter % 2) + i] >> (4 * (quarter / 2)) & 15;
    const int high = b.qh[32 * half + i] >> (2 * quarter) & 3;
    w.q[i] = low + 16 * high - 32;
  }
  for (int h = 0; h < 2; ++h) w.half_scales[h] = b.scales[2 * j + h];
  return w;
}
inline Weights32 part(const BlockIQ4_XS& b, int j) {
  const int low = b.scales_l[j / 2] >> (4 * (j % 2)) & 15;
  const int high = b.scales_h >> (2 * j) & 3;
  Weights32 w = plain_block(half_to_float(b.d) * static_cast<float>(low + 16 * high - 32));
  for (int i = 0; i < 32; ++i) w.q[i] = kNonLinear4[nibble(b.qs + 16 * j, i)];
  return w;
}

template <typename Block, int Columns>
void product_q8(const Matrix& weight, const std::byte* x_rows, std::size_t n_rows,
                std::size_t begin, std::size_t end, float* y, std::size_t y_stride) {
  const std::size_t blocks = weight.columns / Columns;
  const auto* data = static_cast<const std::byte*>(weight.data);
  for (std::size_t n = 0; n < n_rows; ++n) {
    const std::size_t row_bytes = weight.columns / kBlock * sizeof(Q8Block);
    const auto* x = reinterpret_cast<const Q8Block*>(x_rows + n * row_bytes);
    for (std::size_t o = begin; o < end; ++o) {
      float sum = 0;
      for (std::size_t k = 0; k < blocks; ++k) {
        Block block;  // the address of the block in memory may be odd
        __builtin_memcpy(&block, data + (o * blocks + k) * sizeof(Block), sizeof(Block));
        constexpr int kParts32 = Columns / kBlock;
        for (int j = 0; j < kParts32; ++j) {
          sum = running_sum(sum, part(block, j), x[k * kParts32 + static_cast<std::size_t>(j)]);
        }
      }
      y[n * y_stride + o] = sum;
    }
  }
}

void matmul_q8(const Matrix& weight, const std::byte* x_rows, std::size_t n_rows, std::size_t begin,
               std::size_t end, float* y, std::size_t y_stride) {
  const auto with = [&](auto product) { product(weight, x_rows, n_rows, begin, end, y, y_stride); };
  switch (weight.type) {
    case DType::q4_0:
      return with(product_q8<BlockQ4_0, kBlock>);
    case DType::q4_1:
      return with(product_q8<BlockQ4_1, kBlock>);
    case DType::q5_0:
      return with(product_q8<BlockQ5_0, kBlock>);
    case DType::q5_1:
      return with(product_q8<BlockQ5_1, kBlock>);
    case DType::q8_0:
      return with(product_q8<BlockQ8_0, kBlock>);
    case DType::iq4_nl:
      return with(product_q8<BlockIQ4_NL, kBlock>);
    case DType::mxfp4:
      return with(product_q8<BlockMXFP4, kBlock>);
    case DType::q2_k:
      return with(product_q8<BlockQ2_K, kSuperBlock>);
    case DType::q3_k:
      return with(product_q8<BlockQ3_K, kSuperBlock>);
    case DType::q4_k:
      return with(product_q8<BlockQ4_K, kSuperBlock>);
    case DType::q5_k:
      return with(product_q8<BlockQ5_K, kSuperBlock>);
    case DType::q6_k:
      return with(product_q8<BlockQ6_K, kSuperBlock>);
    case DType::iq4_xs:
      return with(product_q8<BlockIQ4_XS, kSuperBlock>);
    default:
      return;  // is_quantised_weight says no
  }
}

}  // namespace
}  // namespace switchyard::kernels
