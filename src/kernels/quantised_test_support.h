// Quantised weights for tests: random bytes with scales that are numbers, and what they mean,
// decoded one value at a time from the formulas in blocks.h.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/blocks.h"
#include "kernels/kernels.h"
#include "kernels/test_support.h"

namespace switchyard::kernels {

struct QuantisedType {
  DType type;
  const char* name;
  std::size_t block_values, block_bytes;
  std::vector<std::size_t> halves;  // where in a block values of half precision lie
};
inline const std::vector<QuantisedType>& quantised_types() {
  static const std::vector<QuantisedType> types = {
      {DType::q4_0, "Q4_0", 32, 18, {0}},      {DType::q4_1, "Q4_1", 32, 20, {0, 2}},
      {DType::q5_0, "Q5_0", 32, 22, {0}},      {DType::q5_1, "Q5_1", 32, 24, {0, 2}},
      {DType::q8_0, "Q8_0", 32, 34, {0}},      {DType::q2_k, "Q2_K", 256, 84, {80, 82}},
      {DType::q3_k, "Q3_K", 256, 110, {108}},  {DType::q4_k, "Q4_K", 256, 144, {0, 2}},
      {DType::q5_k, "Q5_K", 256, 176, {0, 2}}, {DType::q6_k, "Q6_K", 256, 210, {208}},
      {DType::iq4_nl, "IQ4_NL", 32, 18, {0}},  {DType::iq4_xs, "IQ4_XS", 256, 136, {0}},
      {DType::mxfp4, "MXFP4", 32, 17, {}}};
  return types;
}

inline double half_value(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double magnitude = exponent == 31  ? (fraction == 0 ? HUGE_VAL : std::nan(""))
                           : exponent == 0 ? std::ldexp(fraction, -24)
                                           : std::ldexp(1024 + fraction, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

// Random codes and scales. Tame: scales of magnitude 2^-9 to 2^-4, as weights have them; otherwise
// any number, zeros and subnormal ones included.
inline std::vector<std::uint8_t> random_weights(const QuantisedType& q, std::size_t values,
                                                unsigned seed, bool tame) {
  std::mt19937 random(seed);
  std::vector<std::uint8_t> bytes(values / q.block_values * q.block_bytes);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
  for (std::size_t at = 0; at < bytes.size(); at += q.block_bytes) {
    for (const std::size_t half : q.halves) {
      std::uint8_t& high = bytes[at + half + 1];
      if (tame) high = static_cast<std::uint8_t>((high & 0x83) | (6 + random() % 6) << 2);
      if ((high & 0x7c) == 0x7c) high = static_cast<std::uint8_t>(high & ~4U);
    }
    if (q.type == DType::mxfp4 && tame) bytes[at] = static_cast<std::uint8_t>(118 + random() % 6);
  }
  return bytes;
}

// One weight: what is scaled by codes, and what is added in types with minima.
struct Value {
  double product, minimum;
};

template <typename Block>
Block block_of(const std::uint8_t* row, std::size_t i, std::size_t columns) {
  Block block;
  std::memcpy(&block, row + i / columns * sizeof(Block), sizeof(Block));
  return block;
}
inline int nibble_of(const std::uint8_t* qs, std::size_t i) {
  return i < 16 ? qs[i] & 15 : qs[i - 16] >> 4;
}
inline int fifth_bit(const std::uint8_t* qh, std::size_t i) {
  std::uint32_t bits;
  std::memcpy(&bits, qh, sizeof(bits));
  return static_cast<int>(bits >> i & 1) * 16;
}
inline void six_bits(const std::uint8_t* s, std::size_t j, int& scale, int& minimum) {
  if (j < 4) {
    scale = s[j] & 63;
    minimum = s[j + 4] & 63;
  } else {
    scale = (s[j + 4] & 15) + 16 * (s[j - 4] >> 6);
    minimum = (s[j + 4] >> 4) + 16 * (s[j] >> 6);
  }
}

// Value i of a row.
inline Value decoded(DType type, const std::uint8_t* row, std::size_t i) {
  const std::size_t k = i % 32, s = i % 256, j = s / 32;
  switch (type) {
    case DType::q4_0: {
      const auto b = block_of<BlockQ4_0>(row, i, 32);
      return {half_value(b.d) * (nibble_of(b.qs, k) - 8), 0};
    }
    case DType::q4_1: {
      const auto b = block_of<BlockQ4_1>(row, i, 32);
      return {half_value(b.d) * nibble_of(b.qs, k), half_value(b.m)};
    }
    case DType::q5_0: {
      const auto b = block_of<BlockQ5_0>(row, i, 32);
      return {half_value(b.d) * (nibble_of(b.qs, k) + fifth_bit(b.qh, k) - 16), 0};
    }
    case DType::q5_1: {
      const auto b = block_of<BlockQ5_1>(row, i, 32);
      return {half_value(b.d) * (nibble_of(b.qs, k) + fifth_bit(b.qh, k)), half_value(b.m)};
    }
    case DType::q8_0: {
      const auto b = block_of<BlockQ8_0>(row, i, 32);
      return {half_value(b.d) * b.qs[k], 0};
    }
    case DType::iq4_nl: {
      const auto b = block_of<BlockIQ4_NL>(row, i, 32);
      return {half_value(b.d) * kNonLinear4[nibble_of(b.qs, k)], 0};
    }
    case DType::mxfp4: {
      const auto b = block_of<BlockMXFP4>(row, i, 32);
      constexpr double kValues[8] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
      const int code = nibble_of(b.qs, k);
      const double value = std::ldexp(kValues[code & 7], b.e - 127);
      return {code >= 8 ? -value : value, 0};
    }
    case DType::q2_k: {
      const auto b = block_of<BlockQ2_K>(row, i, 256);
      const int q = b.qs[s / 128 * 32 + k] >> (2 * (j % 4)) & 3, scale = b.scales[s / 16];
      return {half_value(b.d) * (scale & 15) * q, -half_value(b.dmin) * (scale >> 4)};
    }
    case DType::q3_k: {
      const auto b = block_of<BlockQ3_K>(row, i, 256);
      const int low = b.qs[s / 128 * 32 + k] >> (2 * (j % 4)) & 3;
      const int q = low - ((b.hmask[k] >> j & 1) != 0 ? 0 : 4);
      const std::size_t n = s / 16;
      const int scale = (n < 8 ? b.scales[n] & 15 : b.scales[n - 8] >> 4) +
                        16 * (b.scales[8 + n % 4] >> (2 * (n / 4)) & 3);
      return {half_value(b.d) * (scale - 32) * q, 0};
    }
    case DType::q4_k: {
      const auto b = block_of<BlockQ4_K>(row, i, 256);
      int scale, minimum;
      six_bits(b.scales, j, scale, minimum);
      const int q = b.qs[j / 2 * 32 + k] >> (4 * (j % 2)) & 15;
      return {half_value(b.d) * scale * q, -half_value(b.dmin) * minimum};
    }
    case DType::q5_k: {
      const auto b = block_of<BlockQ5_K>(row, i, 256);
      int scale, minimum;
      six_bits(b.scales, j, scale, minimum);
      const int q = (b.qs[j / 2 * 32 + k] >> (4 * (j % 2)) & 15) + 16 * (b.qh[k] >> j & 1);
      return {half_value(b.d) * scale * q, -half_value(b.dmin) * minimum};
    }
    case DType::q6_k: {
      const auto b = block_of<BlockQ6_K>(row, i, 256);
      const std::size_t half = s / 128, in_half = s % 128;
      const int low = b.ql[64 * half + in_half % 64] >> (in_half < 64 ? 0 : 4) & 15;
      const int high = b.qh[32 * half + in_half % 32] >> (2 * (in_half / 32)) & 3;
      return {half_value(b.d) * b.scales[s / 16] * (low + 16 * high - 32), 0};
    }
    case DType::iq4_xs: {
      const auto b = block_of<BlockIQ4_XS>(row, i, 256);
      const int scale =
          (b.scales_l[j / 2] >> (4 * (j % 2)) & 15) + 16 * (b.scales_h >> (2 * j) & 3) - 32;
      return {half_value(b.d) * scale * kNonLinear4[nibble_of(b.qs + 16 * j, k)], 0};
    }
    default:
      throw std::runtime_error("not a quantised type");
  }
}

// Rows of activations at 64 bytes, as to_q8 wants them.
struct alignas(64) Line {
  std::byte bytes[64];
};

}  // namespace switchyard::kernels
