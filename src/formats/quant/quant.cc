#include "formats/quant/quant.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "base/check.h"
#include "formats/quant/codecs.h"

namespace switchyard::quant {
namespace {

constexpr std::array kFormats = {
    Format{DType::q4_0, decode_q4_0, encode_q4_0},
    Format{DType::q4_1, decode_q4_1, encode_q4_1},
    Format{DType::q5_0, decode_q5_0, encode_q5_0},
    Format{DType::q5_1, decode_q5_1, encode_q5_1},
    Format{DType::q8_0, decode_q8_0, encode_q8_0},
    Format{DType::q2_k, decode_q2_k, encode_q2_k},
    Format{DType::q3_k, decode_q3_k, encode_q3_k},
    Format{DType::q4_k, decode_q4_k, encode_q4_k},
    Format{DType::q5_k, decode_q5_k, encode_q5_k},
    Format{DType::q6_k, decode_q6_k, encode_q6_k},
    Format{DType::iq4_nl, decode_iq4_nl, encode_iq4_nl},
    Format{DType::iq4_xs, decode_iq4_xs, encode_iq4_xs},
    Format{DType::mxfp4, decode_mxfp4, encode_mxfp4},
};

}  // namespace

std::span<const Format> formats() { return kFormats; }

const Format* find(DType dtype) {
  const auto it = std::find_if(kFormats.begin(), kFormats.end(),
                               [&](const Format& f) { return f.dtype == dtype; });
  return it == kFormats.end() ? nullptr : &*it;
}

void decode_rows(DType dtype, std::span<const std::byte> blocks, std::span<float> out) {
  const Format* format = find(dtype);
  SWITCHYARD_CHECK(format != nullptr);
  SWITCHYARD_CHECK(dtype_bytes(dtype, out.size()) == blocks.size());
  format->decode(blocks.data(), out.size() / dtype_block(dtype).elements, out.data());
}

void encode_rows(DType dtype, std::span<const float> x, std::size_t columns,
                 std::span<const float> importance, std::span<std::byte> out) {
  const Format* format = find(dtype);
  SWITCHYARD_CHECK(format != nullptr);
  SWITCHYARD_CHECK(dtype_bytes(dtype, x.size()) == out.size());
  SWITCHYARD_CHECK(importance.empty() || importance.size() == columns);
  if (x.empty()) return;
  const DTypeBlock block = dtype_block(dtype);
  SWITCHYARD_CHECK(columns > 0 && columns % block.elements == 0 && x.size() % columns == 0);
  const std::size_t row_blocks = columns / block.elements;
  for (std::size_t row = 0; row < x.size() / columns; ++row) {
    format->encode(x.data() + row * columns, importance.empty() ? nullptr : importance.data(),
                   row_blocks, out.data() + row * row_blocks * block.bytes);
  }
}

std::optional<std::size_t> first_non_finite(std::span<const float> x) {
  const auto it = std::find_if(x.begin(), x.end(), [](float v) {
    return (std::bit_cast<std::uint32_t>(v) & 0x7f800000U) == 0x7f800000U;
  });
  if (it == x.end()) return std::nullopt;
  return static_cast<std::size_t>(it - x.begin());
}

}  // namespace switchyard::quant
