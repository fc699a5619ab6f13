// The quantised types of GGUF: blocks of values that share a scale (kernels/blocks.h has their
// layout, docs/formats/quantised-types.md their formulas and measured errors).
//
// Decoding is exact: products and sums are rounded to fp32 one by one, in the order in which the
// format's reference implementation has them, so the bits are the same.
//
// Encoding searches the scales (and minima) that make the squared error of a block small, summed
// over its values with a weight each: the importance of the value's column where the caller has
// measured it, else 1. Columns that were never visited (importance 0) keep a thousandth of the mean
// weight of their block, so they are rounded sensibly where they decide alone; a block in which
// nothing was visited is encoded as without importance. Values beyond what the type can hold (f16
// scales end at 65504) become finite ones.
//
// Values given to encode must be finite: ask first_non_finite before. Importance must be finite
// and not negative. Anything else is our bug (InternalError).
//
// Thread rule: pure functions; the result depends on the block alone, so rows may be split over
// threads in any way.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "switchyard/dtype.h"

namespace switchyard::quant {

struct Format {
  DType dtype;
  // `blocks` lie at any address.
  void (*decode)(const std::byte* blocks, std::size_t n_blocks, float* out);
  // `importance` has one value for each of x, or is null.
  void (*encode)(const float* x, const float* importance, std::size_t n_blocks, std::byte* out);
};

// One for each quantised type.
std::span<const Format> formats();
// Null if `dtype` is not quantised.
const Format* find(DType dtype);

// Whole blocks: blocks.size() and out.size() belong together.
void decode_rows(DType dtype, std::span<const std::byte> blocks, std::span<float> out);
// Rows of `columns` values, a multiple of the type's block; `importance` has one value per column,
// the same for all rows, or is empty.
void encode_rows(DType dtype, std::span<const float> x, std::size_t columns,
                 std::span<const float> importance, std::span<std::byte> out);

// Where the first NaN or infinity is.
std::optional<std::size_t> first_non_finite(std::span<const float> x);

}  // namespace switchyard::quant
