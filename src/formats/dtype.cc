#include "formats/dtype.h"

#include <array>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/checked_math.h"
#include "formats/quant/quant.h"
#include "kernels/blocks.h"

namespace switchyard {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the formats here are little-endian and read in place");

struct DTypeEntry {
  DType dtype;
  std::string_view name;  // as safetensors and GGUF tools write it
  DTypeBlock block;
};

constexpr std::array kDTypes = {
    DTypeEntry{DType::f32, "F32", {1, 4}},
    DTypeEntry{DType::f16, "F16", {1, 2}},
    DTypeEntry{DType::bf16, "BF16", {1, 2}},
    DTypeEntry{DType::f64, "F64", {1, 8}},
    DTypeEntry{DType::i8, "I8", {1, 1}},
    DTypeEntry{DType::u8, "U8", {1, 1}},
    DTypeEntry{DType::i16, "I16", {1, 2}},
    DTypeEntry{DType::i32, "I32", {1, 4}},
    DTypeEntry{DType::i64, "I64", {1, 8}},
    DTypeEntry{DType::boolean, "BOOL", {1, 1}},
    DTypeEntry{DType::q4_0, "Q4_0", {32, sizeof(kernels::BlockQ4_0)}},
    DTypeEntry{DType::q4_1, "Q4_1", {32, sizeof(kernels::BlockQ4_1)}},
    DTypeEntry{DType::q5_0, "Q5_0", {32, sizeof(kernels::BlockQ5_0)}},
    DTypeEntry{DType::q5_1, "Q5_1", {32, sizeof(kernels::BlockQ5_1)}},
    DTypeEntry{DType::q8_0, "Q8_0", {32, sizeof(kernels::BlockQ8_0)}},
    DTypeEntry{DType::q2_k, "Q2_K", {256, sizeof(kernels::BlockQ2_K)}},
    DTypeEntry{DType::q3_k, "Q3_K", {256, sizeof(kernels::BlockQ3_K)}},
    DTypeEntry{DType::q4_k, "Q4_K", {256, sizeof(kernels::BlockQ4_K)}},
    DTypeEntry{DType::q5_k, "Q5_K", {256, sizeof(kernels::BlockQ5_K)}},
    DTypeEntry{DType::q6_k, "Q6_K", {256, sizeof(kernels::BlockQ6_K)}},
    DTypeEntry{DType::iq4_nl, "IQ4_NL", {32, sizeof(kernels::BlockIQ4_NL)}},
    DTypeEntry{DType::iq4_xs, "IQ4_XS", {256, sizeof(kernels::BlockIQ4_XS)}},
    DTypeEntry{DType::mxfp4, "MXFP4", {32, sizeof(kernels::BlockMXFP4)}},
};

const DTypeEntry& entry(DType dtype) {
  for (const DTypeEntry& e : kDTypes) {
    if (e.dtype == dtype) return e;
  }
  check_failed("the dtype is in the table", __FILE__, __LINE__);
}

template <typename Stored, typename Convert>
void convert_each(std::span<const std::byte> bytes, std::span<float> out, Convert convert) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored value;
    std::memcpy(&value, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    out[i] = convert(value);
  }
}

}  // namespace

DTypeBlock dtype_block(DType dtype) { return entry(dtype).block; }

bool is_quantised(DType dtype) { return entry(dtype).block.elements > 1; }

std::size_t dtype_size(DType dtype) {
  SWITCHYARD_CHECK(!is_quantised(dtype));
  return entry(dtype).block.bytes;
}

std::optional<std::uint64_t> dtype_bytes(DType dtype, std::uint64_t elements) {
  const DTypeBlock block = dtype_block(dtype);
  if (elements % block.elements != 0) return std::nullopt;
  return checked_multiply(elements / block.elements, block.bytes);
}

std::string_view dtype_name(DType dtype) { return entry(dtype).name; }

std::optional<DType> dtype_from_name(std::string_view name) {
  for (const DTypeEntry& e : kDTypes) {
    if (e.name == name) return e.dtype;
  }
  return std::nullopt;
}

float f16_to_f32(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1fU;
  std::uint32_t mantissa = bits & 0x3ffU;
  if (exponent == 0x1f) return std::bit_cast<float>(sign | 0x7f800000U | (mantissa << 13));
  if (exponent == 0) {
    // Subnormal: mantissa * 2^-24, exact in fp32.
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

float bf16_to_f32(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

std::uint16_t f32_to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return sign | 0x7e00U;
  // 65520 is half way between the largest f16 and the next power: it and all above round to
  // infinity.
  if (magnitude >= 0x477ff000U) return sign | 0x7c00U;
  if (magnitude < 0x38800000U) {
    // Below 2^-14 the result is a multiple of 2^-24; adding 0.5 makes the fp32 unit exactly that,
    // so the addition rounds.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return sign | static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(shifted) - 0x3f000000U);
  }
  const std::uint32_t rounded = magnitude + 0xfffU + ((magnitude >> 13) & 1U);
  return sign | static_cast<std::uint16_t>((rounded - 0x38000000U) >> 13);
}

std::uint16_t f32_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

bool is_floating(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f64;
}

void convert_to_f32(DType dtype, std::span<const std::byte> bytes, std::span<float> out) {
  if (is_quantised(dtype)) {
    quant::decode_rows(dtype, bytes, out);
    return;
  }
  SWITCHYARD_CHECK(is_floating(dtype));
  SWITCHYARD_CHECK(bytes.size() == out.size() * dtype_size(dtype));
  if (out.empty()) return;
  switch (dtype) {
    case DType::f32:
      std::memcpy(out.data(), bytes.data(), bytes.size());
      return;
    case DType::f16:
      convert_each<std::uint16_t>(bytes, out, f16_to_f32);
      return;
    case DType::bf16:
      convert_each<std::uint16_t>(bytes, out, bf16_to_f32);
      return;
    default:
      convert_each<double>(bytes, out, [](double v) { return static_cast<float>(v); });
      return;
  }
}

}  // namespace switchyard
