#include "formats/gguf/tensor_converter.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "switchyard/error.h"

#include "base/check.h"
#include "formats/dtype.h"
#include "formats/finite_check.h"
#include "formats/json.h"
#include "formats/quant/quant.h"

namespace switchyard {
namespace {

constexpr std::int64_t kPieceElements = 1 << 22;  // 16 MiB of fp32
constexpr std::int64_t kGrainElements = 1 << 16;

std::string place(const WeightFiles& weights, const TensorInfo& tensor) {
  return weights.files()[tensor.file] + ": tensor " + shown(weights.stored_name(tensor.name));
}

// Rows of `columns` values.
void encode_rows(DType to, std::span<const float> values, std::size_t columns,
                 std::span<const float> importance, std::span<std::byte> out) {
  if (is_quantised(to)) {
    quant::encode_rows(to, values, columns, importance, out);
    return;
  }
  if (to == DType::f32) {
    std::memcpy(out.data(), values.data(), out.size());
    return;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t bits = to == DType::f16 ? f32_to_f16(values[i]) : f32_to_bf16(values[i]);
    std::memcpy(out.data() + 2 * i, &bits, sizeof bits);
  }
}

bool can_decode(DType dtype) { return is_floating(dtype) || is_quantised(dtype); }
bool can_encode(DType dtype) { return can_decode(dtype) && dtype != DType::f64; }

// The largest number that rounds to a finite one.
float largest(DType to) {
  if (to == DType::f16) return std::bit_cast<float>(0x477fefffU);
  if (to == DType::bf16) return std::bit_cast<float>(0x7f7f7fffU);
  return std::numeric_limits<float>::max();
}

}  // namespace

void TensorConverter::for_rows(std::size_t rows,
                               const std::function<void(std::size_t, std::size_t)>& body) {
  if (pool_ == nullptr || rows == 0) {
    body(0, rows);
    return;
  }
  const std::size_t columns = values_.size() / rows;
  const std::size_t grain = std::max<std::size_t>(
      1, static_cast<std::size_t>(kGrainElements) / std::max<std::size_t>(1, columns));
  pool_->parallel_for(rows, grain, body);
}

void TensorConverter::append(AtomicFile& file, const TensorInfo& tensor,
                             const TensorConversion& conversion) {
  const bool same = tensor.dtype == conversion.to;
  if (!same && (!can_decode(tensor.dtype) || !can_encode(conversion.to))) {
    throw Error({.what = "a tensor of type " + std::string(dtype_name(tensor.dtype)) +
                         " cannot become " + std::string(dtype_name(conversion.to)),
                 .where = place(weights_, tensor),
                 .expected = "floating or quantised types",
                 .fix = "choose another type"});
  }
  if (tensor.elements() == 0) return;
  const std::int64_t rows = tensor.shape.size() < 2 ? 1 : tensor.shape.front();
  const std::int64_t columns = tensor.elements() / rows;
  const auto row_bytes = dtype_bytes(conversion.to, static_cast<std::uint64_t>(columns));
  if (!row_bytes) {
    throw Error({.what = "rows of " + std::to_string(columns) + " values are no whole blocks of " +
                         std::string(dtype_name(conversion.to)),
                 .where = place(weights_, tensor),
                 .expected = "a multiple of " + std::to_string(dtype_block(conversion.to).elements),
                 .fix = "choose another type for this tensor, such as Q8_0 or F16"});
  }
  // A bias has one value a row of its matrix, and its rows are permuted alike.
  const bool vector = tensor.shape.size() == 1;
  if (vector && (tensor.paired_heads > 0 || conversion.paired_heads > 0)) {
    TensorInfo column = tensor;
    column.shape = {tensor.elements(), 1};
    return append(file, column, conversion);
  }
  const int heads = std::max(tensor.paired_heads, conversion.paired_heads);
  const std::int64_t unit = heads > 0 ? rows / heads : 1;  // rows that must stay together
  SWITCHYARD_CHECK(heads == 0 || rows % heads == 0);
  const std::int64_t pieces =
      std::max<std::int64_t>(1, kPieceElements / std::max<std::int64_t>(1, columns * unit)) * unit;
  // What is made of several ranges is made at once.
  const std::int64_t step = tensor.sources ? rows : pieces;
  for (std::int64_t first = 0; first < rows; first += step) {
    const std::int64_t count = std::min(step, rows - first);
    TensorInfo piece = tensor;
    piece.shape = {count, columns};
    const std::uint64_t stored_row = tensor.bytes / static_cast<std::uint64_t>(rows);
    piece.offset += static_cast<std::uint64_t>(first) * stored_row;
    piece.bytes = static_cast<std::uint64_t>(count) * stored_row;
    if (tensor.paired_heads > 0) piece.paired_heads = static_cast<int>(count / unit);
    convert(piece, conversion);
    if (conversion.paired_heads > 0) {
      pair_rows(out_, static_cast<std::size_t>(count), static_cast<int>(count / unit));
    }
    file.append(out_);
  }
}

void TensorConverter::convert(const TensorInfo& piece, const TensorConversion& conversion) {
  const auto rows = static_cast<std::size_t>(piece.shape[0]);
  const auto columns = static_cast<std::size_t>(piece.shape[1]);
  const bool same = piece.dtype == conversion.to;
  stored_.resize(static_cast<std::size_t>(piece.bytes));
  weights_.read(piece, stored_);
  if (same && !can_decode(piece.dtype)) {
    out_.swap(stored_);
    return;
  }

  values_.resize(rows * columns);
  const std::size_t stored_row = stored_.size() / rows;
  const auto row_bytes =
      static_cast<std::size_t>(*dtype_bytes(conversion.to, static_cast<std::uint64_t>(columns)));
  out_.resize(rows * row_bytes);
  const float most = same ? std::numeric_limits<float>::max() : largest(conversion.to);
  for_rows(rows, [&](std::size_t begin, std::size_t end) {
    const std::size_t count = end - begin;
    const auto values = std::span(values_).subspan(begin * columns, count * columns);
    const auto stored = std::span(stored_).subspan(begin * stored_row, count * stored_row);
    if (has_reserved_scale(piece.dtype, stored)) {
      throw Error({.what = "the scale of a block is not a number",
                   .where = place(weights_, piece),
                   .expected = "finite numbers",
                   .fix = "get the model again: it is damaged"});
    }
    convert_to_f32(piece.dtype, stored, values);
    for (std::size_t i = 0; i < values.size(); ++i) {
      // Written so that a NaN fails.
      if (std::fabs(values[i]) <= most) continue;
      const bool finite = std::isfinite(values[i]);
      throw Error({.what = "a weight is " + std::to_string(values[i]),
                   .where = place(weights_, piece),
                   .expected = finite ? "at most " + std::to_string(most) + " for type " +
                                            std::string(dtype_name(conversion.to))
                                      : "finite numbers",
                   .fix = finite ? "choose BF16 or F32 for this tensor"
                                 : "get the model again: it is damaged"});
    }
    const auto out = std::span(out_).subspan(begin * row_bytes, count * row_bytes);
    if (same) {
      std::ranges::copy(stored, out.begin());
    } else {
      encode_rows(conversion.to, values, columns, conversion.importance, out);
    }
  });
}

void pair_rows(std::span<std::byte> bytes, std::size_t rows, int heads) {
  const std::size_t head_rows = rows / static_cast<std::size_t>(heads);
  const std::size_t row_bytes = bytes.size() / rows;
  std::vector<std::byte> head(head_rows * row_bytes);
  for (std::size_t at = 0; at < bytes.size(); at += head.size()) {
    std::memcpy(head.data(), bytes.data() + at, head.size());
    for (std::size_t stored = 0; stored < head_rows; ++stored) {
      const std::size_t row = stored / 2 + (stored % 2) * (head_rows / 2);
      std::memcpy(bytes.data() + at + stored * row_bytes, head.data() + row * row_bytes, row_bytes);
    }
  }
}

}  // namespace switchyard
