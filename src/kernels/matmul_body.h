// The matrix product over the Lanes of one instruction set, and attention scores, which are the
// same product.
//
// A tile computes R rows of x times O outputs: R * O independent sums hide the latency of the
// multiply-add, and every loaded weight is used R times. The whole of one output's dot product runs
// through one accumulator, in order, so no choice made here (tile shapes, direct or packed weights,
// panels) changes a bit of the result.
//
//   few rows    direct   weights come from memory once and are used at once; the limit is the
//   memory many rows   packed   a block of weights is widened and copied to be contiguous in L1,
//   then used for all rows
#pragma once

#include <cstddef>

#include "kernels/kernels.h"
#include "kernels/unrolled.h"

namespace switchyard::kernels {
namespace {

// Packed blocks: 8 outputs by 512 columns of fp32 are 16 KiB, beside which a strip of x (6 rows by
// 512 are 12 KiB) fits an L1 of 32 KiB. 96 rows make packing cost about a hundredth of the product;
// their unfinished sums are 48 KiB.
constexpr std::size_t kBlockOutputs = 8;
constexpr std::size_t kBlockColumns = 512;
constexpr std::size_t kBlockRows = 48;
static_assert(kBlockRows % kTileRows == 0);

// Where the weights of a tile are: sixteen columns of one output always lie together.
template <typename Weight>
struct DirectWeights {
  const Weight* data;
  std::size_t stride;
  const Weight* at(std::size_t output, std::size_t column) const {
    return data + output * stride + column;
  }
  Lanes first_at(std::size_t output, std::size_t column, std::size_t count) const {
    return load_first(at(output, column), count);
  }
};
// As pack() leaves them: for each sixteen columns the kBlockOutputs outputs in turn, zeros behind
// the last column.
struct PackedWeights {
  const float* data;
  const float* at(std::size_t output, std::size_t column) const {
    return data + column * kBlockOutputs + output * kLanes;
  }
  Lanes first_at(std::size_t output, std::size_t column, std::size_t) const {
    return load(at(output, column));
  }
};

// The sums of one tile, sums[r][o] of Rows * Outputs. All loops over them are unrolled, so that
// they live in registers.
template <std::size_t Rows, std::size_t Outputs>
struct Tile {
  Lanes sums[Rows * Outputs];

  [[gnu::always_inline]] void clear() {
    unrolled<Rows * Outputs>([&](auto i) { sums[i.value] = zero(); });
  }
  [[gnu::always_inline]] void load_from(const float* scratch) {
    unrolled<Rows * Outputs>([&](auto i) { sums[i.value] = load(scratch + i.value * kLanes); });
  }
  [[gnu::always_inline]] void store_to(float* scratch) const {
    unrolled<Rows * Outputs>([&](auto i) { store(scratch + i.value * kLanes, sums[i.value]); });
  }

  template <typename Weights>
  [[gnu::always_inline]] void accumulate(const Weights& weights, const float* x,
                                         std::size_t x_stride, std::size_t columns) {
    std::size_t k = 0;
    for (; k + kLanes <= columns; k += kLanes) {
      // One part after the other: the sums leave registers for the weights and x of one part only.
      unrolled<kParts>([&](auto p) {
        constexpr std::size_t kPart = p.value;
        Part w[Outputs];
        unrolled<Outputs>([&](auto o) { w[o.value] = load_part<kPart>(weights.at(o.value, k)); });
        unrolled<Rows>([&](auto r) {
          const Part xr = load_part<kPart>(x + r.value * x_stride + k);
          unrolled<Outputs>([&](auto o) {
            Part& to = part<kPart>(sums[r.value * Outputs + o.value]);
            to = fma(xr, w[o.value], to);
          });
        });
      });
    }
    if (k < columns) {
      const std::size_t rest = columns - k;
      Lanes w[Outputs];
      unrolled<Outputs>([&](auto o) { w[o.value] = weights.first_at(o.value, k, rest); });
      unrolled<Rows>([&](auto r) {
        const Lanes xr = load_first(x + r.value * x_stride + k, rest);
        unrolled<Outputs>([&](auto o) {
          Lanes& to = sums[r.value * Outputs + o.value];
          to = fma(xr, w[o.value], to);
        });
      });
    }
  }

  [[gnu::always_inline]] void finish(float* y, std::size_t y_stride) const {
    float numbers[Rows * Outputs];
    constexpr std::size_t kFours = Rows * Outputs / 4;
    unrolled<kFours>([&](auto i) { sum4(sums + i.value * 4, numbers + i.value * 4); });
    unrolled<Rows * Outputs - kFours * 4>(
        [&](auto i) { numbers[kFours * 4 + i.value] = sum(sums[kFours * 4 + i.value]); });
    for (std::size_t r = 0; r < Rows; ++r) {
      for (std::size_t o = 0; o < Outputs; ++o) y[r * y_stride + o] = numbers[r * Outputs + o];
    }
  }
};

// y[r * y_stride + o] = dot(x + r * x_stride, weight + o * w_stride) over `columns`.
template <std::size_t Rows, std::size_t Outputs, typename Weight>
inline void direct_tile(const Weight* weight, std::size_t w_stride, const float* x,
                        std::size_t x_stride, std::size_t columns, float* y, std::size_t y_stride) {
  Tile<Rows, Outputs> tile;
  tile.clear();
  tile.accumulate(DirectWeights<Weight>{weight, w_stride}, x, x_stride, columns);
  tile.finish(y, y_stride);
}

// Outputs [begin, end) for exactly `Rows` rows.
template <std::size_t Rows, typename Weight>
inline void direct_strip(const Weight* weight, std::size_t w_stride, const float* x,
                         std::size_t x_stride, std::size_t columns, std::size_t begin,
                         std::size_t end, float* y, std::size_t y_stride) {
  constexpr std::size_t kOutputs = kTileOutputs[Rows];
  std::size_t o = begin;
  for (; o + kOutputs <= end; o += kOutputs) {
    direct_tile<Rows, kOutputs>(weight + o * w_stride, w_stride, x, x_stride, columns, y + o,
                                y_stride);
  }
  for (; o < end; ++o) {
    direct_tile<Rows, 1>(weight + o * w_stride, w_stride, x, x_stride, columns, y + o, y_stride);
  }
}

// Calls function with Constant<min(n, kTileRows)>: turns a number known only now into a template
// argument.
template <std::size_t Rows = kTileRows, typename Function>
inline void with_rows(std::size_t n, const Function& function) {
  if constexpr (Rows > 0) {
    if (n >= Rows) {
      function(Constant<Rows>{});
    } else {
      with_rows<Rows - 1>(n, function);
    }
  }
}

template <typename Weight>
inline void direct_product(const Weight* weight, std::size_t columns, const float* x,
                           std::size_t x_stride, std::size_t n_rows, std::size_t begin,
                           std::size_t end, float* y, std::size_t y_stride) {
  for (std::size_t n = 0; n < n_rows; n += kTileRows) {
    with_rows(n_rows - n, [&](auto rows) {
      direct_strip<rows.value>(weight, columns, x + n * x_stride, x_stride, columns, begin, end,
                               y + n * y_stride, y_stride);
    });
  }
}

// kBlockOutputs rows of the weight, `columns` <= kBlockColumns of each, in the order PackedWeights
// reads them.
template <typename Weight>
inline void pack(const Weight* weight, std::size_t w_stride, std::size_t columns, float* packed) {
  for (std::size_t o = 0; o < kBlockOutputs; ++o) {
    const Weight* const row = weight + o * w_stride;
    float* out = packed + o * kLanes;
    std::size_t k = 0;
    for (; k + kLanes <= columns; k += kLanes, out += kBlockOutputs * kLanes)
      store(out, load(row + k));
    if (k < columns) store(out, load_first(row + k, columns - k));
  }
}

// The part of one strip's sums that one panel of columns gives; they wait in `scratch` between
// panels.
template <std::size_t Rows>
inline void packed_strip(const float* packed, const float* x, std::size_t x_stride,
                         std::size_t columns, bool first, bool last, float* scratch, float* y,
                         std::size_t y_stride) {
  constexpr std::size_t kOutputs = kTileOutputs[kTileRows];
  for (std::size_t o = 0; o < kBlockOutputs; o += kOutputs, scratch += Rows * kOutputs * kLanes) {
    Tile<Rows, kOutputs> tile;
    if (first) {
      tile.clear();
    } else {
      tile.load_from(scratch);
    }
    tile.accumulate(PackedWeights{packed + o * kLanes}, x, x_stride, columns);
    if (last) {
      tile.finish(y + o, y_stride);
    } else {
      tile.store_to(scratch);
    }
  }
}

// kBlockOutputs outputs for up to kBlockRows rows.
template <typename Weight>
inline void packed_block(const Weight* weight, std::size_t columns, const float* x,
                         std::size_t x_stride, std::size_t n_rows, float* y, std::size_t y_stride) {
  alignas(64) float packed[kBlockOutputs * kBlockColumns];
  alignas(64) float scratch[kBlockRows * kBlockOutputs * kLanes];
  for (std::size_t k = 0; k < columns; k += kBlockColumns) {
    const bool last = columns - k <= kBlockColumns;
    const std::size_t width = last ? columns - k : kBlockColumns;
    pack(weight + k, columns, width, packed);
    for (std::size_t n = 0; n < n_rows; n += kTileRows) {
      with_rows(n_rows - n, [&](auto rows) {
        packed_strip<rows.value>(packed, x + n * x_stride + k, x_stride, width, k == 0, last,
                                 scratch + n * kBlockOutputs * kLanes, y + n * y_stride, y_stride);
      });
    }
  }
}

template <typename Weight>
inline void product(const Weight* weight, std::size_t columns, const float* x, std::size_t x_stride,
                    std::size_t n_rows, std::size_t begin, std::size_t end, float* y,
                    std::size_t y_stride) {
  constexpr std::size_t kWorthPacking = 2 * kTileRows;
  for (std::size_t n = 0; n < n_rows; n += kBlockRows) {
    const std::size_t rows = n_rows - n < kBlockRows ? n_rows - n : kBlockRows;
    const float* const xn = x + n * x_stride;
    float* const yn = y + n * y_stride;
    std::size_t o = begin;
    if (rows > kWorthPacking && columns > 0) {
      for (; o + kBlockOutputs <= end; o += kBlockOutputs) {
        packed_block(weight + o * columns, columns, xn, x_stride, rows, yn + o, y_stride);
      }
    }
    direct_product(weight, columns, xn, x_stride, rows, o, end, yn, y_stride);
  }
}

void matmul(const Matrix& weight, const float* x, std::size_t x_stride, std::size_t n_rows,
            std::size_t begin, std::size_t end, float* y, std::size_t y_stride) {
  const std::size_t columns = weight.columns;
  if (weight.type == WeightType::f32) {
    product(static_cast<const float*>(weight.data), columns, x, x_stride, n_rows, begin, end, y,
            y_stride);
  } else {
    product(static_cast<const Bf16*>(weight.data), columns, x, x_stride, n_rows, begin, end, y,
            y_stride);
  }
}

float dot(const float* a, const float* b, std::size_t n) {
  float result;
  direct_tile<1, 1>(a, 0, b, 0, n, &result, 0);
  return result;
}

void attention_scores(const float* q, const float* keys, std::size_t stride, std::size_t t,
                      std::size_t head_dim, float scale, float* score) {
  direct_strip<1>(keys, stride, q, 0, head_dim, 0, t, score, 0);
  for (std::size_t j = 0; j < t; ++j) score[j] *= scale;
}

}  // namespace
}  // namespace switchyard::kernels
