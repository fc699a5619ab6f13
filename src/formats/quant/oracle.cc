#include "formats/quant/oracle.h"

#include <cmath>
#include <cstring>

#include "base/check.h"
#include "base/random.h"

namespace switchyard::quant {
namespace {

// By the definition of IEEE 754 binary16.
float half(const std::uint8_t* at) {
  const int bits = at[0] | at[1] << 8;
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return static_cast<float>(bits & 0x8000 ? -magnitude : magnitude);
}

int bits_at(const std::uint8_t* bytes, int first_bit, int count) {
  int value = 0;
  for (int i = 0; i < count; ++i) {
    const int bit = first_bit + i;
    value |= (bytes[bit / 8] >> (bit % 8) & 1) << i;
  }
  return value;
}

// Nibble of value i where 32 values have 16 bytes: first all low, then all high nibbles.
int split_nibble(const std::uint8_t* qs, int i) {
  return bits_at(qs, 8 * (i % 16) + (i < 16 ? 0 : 4), 4);
}

// Two bits of value i of 256, in 64 bytes: the first 32 bytes hold the values below 128, bits 2 k
// and 2 k + 1 of byte l value 32 k + l.
int two_bits(const std::uint8_t* qs, int i) {
  return bits_at(qs, 8 * (i / 128 * 32 + i % 32) + i % 128 / 32 * 2, 2);
}

// Nibble of value i of 256, in 128 bytes: 32 bytes hold 64 values, low nibbles the first 32.
int k_nibble(const std::uint8_t* qs, int i) {
  return bits_at(qs, 8 * (i / 64 * 32 + i % 32) + i % 64 / 32 * 4, 4);
}

struct ScaleAndMinimum {
  int scale, minimum;
};
ScaleAndMinimum k_scale(const std::uint8_t* packed, int j) {
  if (j < 4) return {bits_at(packed, 8 * j, 6), bits_at(packed, 8 * (j + 4), 6)};
  return {bits_at(packed, 8 * (j + 4), 4) + 16 * bits_at(packed, 8 * (j - 4) + 6, 2),
          bits_at(packed, 8 * (j + 4) + 4, 4) + 16 * bits_at(packed, 8 * j + 6, 2)};
}

constexpr int kNonLinear[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                1,    13,   25,  38,  53,  69,  89,  113};
// Code 8 is not a negative zero: values come from a table of whole numbers.
constexpr float kFp4[16] = {0, 0.5F, 1, 1.5F, 2, 3, 4, 6, 0, -0.5F, -1, -1.5F, -2, -3, -4, -6};

// In the products below the order matters: each is rounded to fp32.
float q2_k(const std::uint8_t* b, int i) {
  const int scales = b[i / 16];
  const float scale = half(b + 80) * static_cast<float>(scales % 16);
  const float minimum = half(b + 82) * static_cast<float>(scales / 16);
  const float product = scale * static_cast<float>(two_bits(b + 16, i));
  return product - minimum;
}

float q3_k(const std::uint8_t* b, int i) {
  const int j = i / 16;
  const std::uint8_t* packed = b + 96;
  const int stored = bits_at(packed, 8 * (j % 8) + j / 8 * 4, 4) +
                     16 * bits_at(packed, 8 * (8 + j % 4) + j / 4 * 2, 2);
  const int high = bits_at(b, 8 * (i % 32) + i / 32, 1);
  const float scale = half(b + 108) * static_cast<float>(stored - 32);
  return scale * static_cast<float>(two_bits(b + 32, i) + 4 * high - 4);
}

float q4_or_q5_k(const std::uint8_t* b, int i, int code) {
  const auto [scale, minimum] = k_scale(b + 4, i / 32);
  const float product = half(b) * static_cast<float>(scale) * static_cast<float>(code);
  return product - half(b + 2) * static_cast<float>(minimum);
}

float q6_k(const std::uint8_t* b, int i) {
  const int part = i / 128;
  const int quarter = i % 128 / 32;
  const int l = i % 32;
  const int low = bits_at(b + 64 * part, 8 * (l + quarter % 2 * 32) + quarter / 2 * 4, 4);
  const int high = bits_at(b + 128 + 32 * part, 8 * l + 2 * quarter, 2);
  const auto scale = static_cast<std::int8_t>(b[192 + i / 16]);
  return half(b + 208) * static_cast<float>(scale) * static_cast<float>(low + 16 * high - 32);
}

float iq4_xs(const std::uint8_t* b, int i) {
  const int j = i / 32;
  const int stored = bits_at(b + 4, 4 * j, 4) + 16 * bits_at(b + 2, 2 * j, 2);
  const float scale = half(b) * static_cast<float>(stored - 32);
  return scale * static_cast<float>(kNonLinear[split_nibble(b + 8 + 16 * j, i % 32)]);
}

float mxfp4(const std::uint8_t* b, int i) {
  const float value = kFp4[split_nibble(b + 1, i)];
  return std::ldexp(value, b[0] - 127);  // exact, or infinite
}

}  // namespace

float oracle_value(DType dtype, const std::uint8_t* b, int i) {
  switch (dtype) {
    case DType::q4_0:
      return half(b) * static_cast<float>(split_nibble(b + 2, i) - 8);
    case DType::q4_1: {
      const float product = half(b) * static_cast<float>(split_nibble(b + 4, i));
      return product + half(b + 2);
    }
    case DType::q5_0:
      return half(b) * static_cast<float>(split_nibble(b + 6, i) + 16 * bits_at(b + 2, i, 1) - 16);
    case DType::q5_1: {
      const float product =
          half(b) * static_cast<float>(split_nibble(b + 8, i) + 16 * bits_at(b + 4, i, 1));
      return product + half(b + 2);
    }
    case DType::q8_0:
      return half(b) * static_cast<float>(static_cast<std::int8_t>(b[2 + i]));
    case DType::q2_k:
      return q2_k(b, i);
    case DType::q3_k:
      return q3_k(b, i);
    case DType::q4_k:
      return q4_or_q5_k(b, i, k_nibble(b + 16, i));
    case DType::q5_k:
      return q4_or_q5_k(b, i, k_nibble(b + 48, i) + 16 * bits_at(b + 16, 8 * (i % 32) + i / 32, 1));
    case DType::q6_k:
      return q6_k(b, i);
    case DType::iq4_nl:
      return half(b) * static_cast<float>(kNonLinear[split_nibble(b + 2, i)]);
    case DType::iq4_xs:
      return iq4_xs(b, i);
    case DType::mxfp4:
      return mxfp4(b, i);
    default:
      check_failed("the type is quantised", __FILE__, __LINE__);
  }
}

std::vector<std::size_t> f16_fields(DType dtype) {
  switch (dtype) {
    case DType::mxfp4:
      return {};
    case DType::q4_1:
    case DType::q5_1:
    case DType::q4_k:
    case DType::q5_k:
      return {0, 2};
    case DType::q2_k:
      return {80, 82};
    case DType::q3_k:
      return {108};
    case DType::q6_k:
      return {208};
    default:
      return {0};
  }
}

void set_f16_fields(DType dtype, std::uint8_t* block, std::uint16_t bits) {
  for (const std::size_t at : f16_fields(dtype)) std::memcpy(block + at, &bits, sizeof(bits));
}

std::vector<std::uint8_t> random_blocks(DType dtype, std::size_t n_blocks) {
  const std::size_t size = dtype_block(dtype).bytes;
  std::vector<std::uint8_t> bytes(n_blocks * size);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::uint64_t word = mix_bits((i / 8 + 1) * RandomKey::kGolden);
    bytes[i] = static_cast<std::uint8_t>(word >> (i % 8 * 8));
  }
  for (std::size_t n = 0; n < n_blocks; ++n) {
    for (const std::size_t at : f16_fields(dtype)) {
      std::uint8_t& upper = bytes[n * size + at + 1];
      if ((upper & 0x7cU) == 0x7cU) upper &= 0xbfU;
    }
  }
  return bytes;
}

}  // namespace switchyard::quant
