// The blocks of the quantised types as they lie in GGUF files: little-endian, without padding, at
// any even address (MXFP4 at any). The formulas are those of the format; formats/quant decodes
// them, the kernels compute with them as they are.
//
// f16 values are kept as bits. "low nibble j" is qs[j] & 15, "high nibble j" qs[j] >> 4.
#pragma once

#include <cstdint>

namespace switchyard::kernels {

using F16 = std::uint16_t;
// The same as an element type of its own, beside bf16, which has these bits too.
enum class Half : F16 {};

inline constexpr int kBlock = 32;        // values of a small block
inline constexpr int kSuperBlock = 256;  // values of a "K" block

// value j = d * (nibble - 8): low nibbles are values 0..15, high nibbles 16..31
struct BlockQ4_0 {
  F16 d;
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

// value = d * nibble + m
struct BlockQ4_1 {
  F16 d, m;
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

// value = d * (nibble + 16 * bit j of qh - 16)
struct BlockQ5_0 {
  F16 d;
  std::uint8_t qh[4];
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

// value = d * (nibble + 16 * bit j of qh) + m
struct BlockQ5_1 {
  F16 d, m;
  std::uint8_t qh[4];
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockQ5_1) == 24);

// value = d * qs
struct BlockQ8_0 {
  F16 d;
  std::int8_t qs[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

// 16 sub-blocks of 16: value = d * (scale & 15) * q2 - dmin * (scale >> 4)
struct BlockQ2_K {
  std::uint8_t scales[16];
  std::uint8_t qs[64];
  F16 d, dmin;
};
static_assert(sizeof(BlockQ2_K) == 84);

// 16 sub-blocks of 16 with 6-bit scales: value = d * (scale - 32) * (q2 + 4 * high bit - 4)
struct BlockQ3_K {
  std::uint8_t hmask[32];
  std::uint8_t qs[64];
  std::uint8_t scales[12];
  F16 d;
};
static_assert(sizeof(BlockQ3_K) == 110);

// 8 sub-blocks of 32 with 6-bit scales and minima: value = d * scale * q4 - dmin * minimum
struct BlockQ4_K {
  F16 d, dmin;
  std::uint8_t scales[12];
  std::uint8_t qs[128];
};
static_assert(sizeof(BlockQ4_K) == 144);

// As Q4_K with a fifth bit
struct BlockQ5_K {
  F16 d, dmin;
  std::uint8_t scales[12];
  std::uint8_t qh[32];
  std::uint8_t qs[128];
};
static_assert(sizeof(BlockQ5_K) == 176);

// 16 sub-blocks of 16 with 8-bit scales: value = d * scale * (q6 - 32)
struct BlockQ6_K {
  std::uint8_t ql[128];
  std::uint8_t qh[64];
  std::int8_t scales[16];
  F16 d;
};
static_assert(sizeof(BlockQ6_K) == 210);

// value = d * kNonLinear4[nibble]
struct BlockIQ4_NL {
  F16 d;
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockIQ4_NL) == 18);

// 8 sub-blocks of 32 with 6-bit scales: value = d * (scale - 32) * kNonLinear4[nibble]
struct BlockIQ4_XS {
  F16 d;
  std::uint16_t scales_h;
  std::uint8_t scales_l[4];
  std::uint8_t qs[128];
};
static_assert(sizeof(BlockIQ4_XS) == 136);

// value = 2^(e - 127) * the FP4 (E2M1) value of the nibble
struct BlockMXFP4 {
  std::uint8_t e;
  std::uint8_t qs[16];
};
static_assert(sizeof(BlockMXFP4) == 17);

// What a nibble of IQ4_NL and IQ4_XS means.
inline constexpr std::int8_t kNonLinear4[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                1,    13,   25,  38,  53,  69,  89,  113};
// Twice what a nibble of MXFP4 means, so that it is a whole number.
inline constexpr std::int8_t kTwiceFp4[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                              0, -1, -2, -3, -4, -6, -8, -12};

}  // namespace switchyard::kernels
