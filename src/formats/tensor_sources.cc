#include "formats/tensor_sources.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "switchyard/error.h"

#include "base/check.h"
#include "formats/dtype.h"
#include "kernels/blocks.h"

namespace switchyard {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::int64_t kTile = 32;       // of rows and columns: what is strided stays in the cache
constexpr std::uint8_t kNoNumber = 255;  // the scale that E8M0 keeps for NaN

// Calls body(unit of the result, unit of what is stored) for each.
template <typename Body>
void for_units(std::int64_t rows, std::int64_t columns, const Strides& s, Body&& body) {
  for (std::int64_t top = 0; top < rows; top += kTile) {
    for (std::int64_t left = 0; left < columns; left += kTile) {
      for (std::int64_t r = top; r < std::min(rows, top + kTile); ++r) {
        for (std::int64_t c = left; c < std::min(columns, left + kTile); ++c) {
          body(static_cast<std::size_t>(r * columns + c),
               static_cast<std::size_t>(s.first + r * s.row_step + c * s.column_step));
        }
      }
    }
  }
}

template <std::size_t kBytes>
void copy_units(std::int64_t rows, std::int64_t columns, const Strides& strides, Bytes stored,
                std::span<std::byte> out) {
  for_units(rows, columns, strides, [&](std::size_t to, std::size_t from) {
    std::memcpy(out.data() + to * kBytes, stored.data() + from * kBytes, kBytes);
  });
}

// The furthest unit lies in what is stored.
bool fits(std::int64_t rows, std::int64_t columns, const Strides& s, std::uint64_t units) {
  const std::int64_t last = s.first + (rows - 1) * s.row_step + (columns - 1) * s.column_step;
  return rows > 0 && columns > 0 && last >= 0 && static_cast<std::uint64_t>(last) < units;
}

std::vector<float> decoded(DType dtype, Bytes bytes, std::int64_t elements) {
  std::vector<float> values(static_cast<std::size_t>(elements));
  convert_to_f32(dtype, bytes, values);
  return values;
}

template <std::size_t kBytes>
void join_latent(const LatentDims& d, Bytes keys, Bytes values, std::span<std::byte> out) {
  const std::int64_t value_bytes = d.value * d.rank * static_cast<std::int64_t>(kBytes);
  const std::int64_t key_bytes = d.nope * d.rank * static_cast<std::int64_t>(kBytes);
  for (std::int64_t h = 0; h < d.heads; ++h) {
    const auto at = [&](Bytes bytes, std::int64_t per_head) {
      return bytes.subspan(static_cast<std::size_t>(h * per_head),
                           static_cast<std::size_t>(per_head));
    };
    const auto head = out.subspan(static_cast<std::size_t>(h * (key_bytes + value_bytes)),
                                  static_cast<std::size_t>(key_bytes + value_bytes));
    copy_units<kBytes>(d.nope, d.rank, {.first = 0, .row_step = 1, .column_step = d.nope},
                       at(keys, key_bytes), head.first(static_cast<std::size_t>(key_bytes)));
    std::ranges::copy(at(values, value_bytes), head.begin() + key_bytes);
  }
}

}  // namespace

std::shared_ptr<const TensorSources> strided(FileRange range, DType dtype, std::int64_t rows,
                                             std::int64_t columns, Strides strides) {
  const std::size_t size = dtype_size(dtype);
  SWITCHYARD_CHECK(size == 2 || size == 4 || size == 8);
  SWITCHYARD_CHECK(fits(rows, columns, strides, range.bytes / size));
  const auto copy = size == 2 ? copy_units<2> : size == 4 ? copy_units<4> : copy_units<8>;
  return std::make_shared<TensorSources>(TensorSources{
      .ranges = {range}, .make = [=](std::span<const Bytes> read, std::span<std::byte> out) {
        copy(rows, columns, strides, read[0], out);
      }});
}

std::shared_ptr<const TensorSources> strided_mxfp4(FileRange blocks, FileRange scales,
                                                   std::int64_t rows, std::int64_t columns,
                                                   Strides strides, std::string where) {
  using kernels::BlockMXFP4;
  constexpr std::size_t kCodes = sizeof(BlockMXFP4::qs);
  SWITCHYARD_CHECK(fits(rows, columns, strides, scales.bytes));
  SWITCHYARD_CHECK(blocks.bytes == scales.bytes * kCodes);
  const auto make = [=](std::span<const Bytes> read, std::span<std::byte> out) {
    for_units(rows, columns, strides, [&](std::size_t to, std::size_t from) {
      std::uint8_t codes[kCodes];
      std::memcpy(codes, read[0].data() + from * kCodes, kCodes);
      BlockMXFP4 block{};
      block.e = std::to_integer<std::uint8_t>(read[1][from]);
      if (block.e == kNoNumber) {
        throw Error({.what = "the scale of a block is not a number",
                     .where = where,
                     .expected = "exponents from 0 to 254",
                     .fix = "get the model again: it is damaged"});
      }
      // Values 2 i and 2 i + 1 stand together; GGUF has i and i + 16 together.
      for (std::size_t i = 0; i < kCodes / 2; ++i) {
        const unsigned low = codes[i], high = codes[kCodes / 2 + i];
        block.qs[2 * i] = static_cast<std::uint8_t>((low & 15U) | (high & 15U) << 4);
        block.qs[2 * i + 1] = static_cast<std::uint8_t>(low >> 4 | (high >> 4) << 4);
      }
      std::memcpy(out.data() + to * sizeof block, &block, sizeof block);
    });
  };
  return std::make_shared<TensorSources>(TensorSources{.ranges = {blocks, scales}, .make = make});
}

DType joined_latent_type(DType keys, DType values) {
  return keys == values && is_floating(keys) ? keys : DType::f32;
}

std::shared_ptr<const TensorSources> joined_latent(TypedRange keys, TypedRange values,
                                                   LatentDims dims) {
  const DType type = joined_latent_type(keys.dtype, values.dtype);
  const auto make = [=](std::span<const Bytes> read, std::span<std::byte> out) {
    if (type == keys.dtype && type == values.dtype) {
      const std::size_t size = dtype_size(type);
      const auto join = size == 2 ? join_latent<2> : size == 4 ? join_latent<4> : join_latent<8>;
      join(dims, read[0], read[1], out);
      return;
    }
    const auto k = decoded(keys.dtype, read[0], dims.heads * dims.rank * dims.nope);
    const auto v = decoded(values.dtype, read[1], dims.heads * dims.rank * dims.value);
    join_latent<sizeof(float)>(dims, std::as_bytes(std::span(k)), std::as_bytes(std::span(v)), out);
  };
  return std::make_shared<TensorSources>(
      TensorSources{.ranges = {keys.range, values.range}, .make = make});
}

}  // namespace switchyard
