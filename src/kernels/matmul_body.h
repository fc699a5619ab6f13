// The matrix product over the Lanes of one instruction set, and attention scores, which are the
// same product.
//
// A tile computes R rows of x times O outputs: R * O independent sums hide the latency of the
// multiply-add, and every loaded weight is used R times. The whole of one output's dot product runs
// through one accumulator, so tiles of different shapes give the same bits.
#pragma once

#include <cstddef>

#include "kernels/kernels.h"

namespace switchyard::kernels {
namespace {

// Lanes sums to numbers, four at a time while there are four.
template <std::size_t Count>
inline void sum_all(const Lanes* lanes, float* out) {
  constexpr std::size_t kFours = Count / 4 * 4;
  for (std::size_t i = 0; i < kFours; i += 4) sum4(lanes + i, out + i);
  for (std::size_t i = kFours; i < Count; ++i) out[i] = sum(lanes[i]);
}

// y[r * y_stride + o] = dot(x + r * x_stride, weight + o * w_stride) over `columns`.
template <std::size_t Rows, std::size_t Outputs, typename Weight>
inline void tile(const Weight* weight, std::size_t w_stride, const float* x, std::size_t x_stride,
                 std::size_t columns, float* y, std::size_t y_stride) {
  Lanes sums[Rows * Outputs];
  for (std::size_t i = 0; i < Rows * Outputs; ++i) sums[i] = zero();

  std::size_t k = 0;
  for (; k + kLanes <= columns; k += kLanes) {
    Lanes w[Outputs];
    for (std::size_t o = 0; o < Outputs; ++o) w[o] = load(weight + o * w_stride + k);
    for (std::size_t r = 0; r < Rows; ++r) {
      const Lanes xr = load(x + r * x_stride + k);
      for (std::size_t o = 0; o < Outputs; ++o)
        sums[r * Outputs + o] = fma(xr, w[o], sums[r * Outputs + o]);
    }
  }
  if (k < columns) {
    const std::size_t rest = columns - k;
    Lanes w[Outputs];
    for (std::size_t o = 0; o < Outputs; ++o) w[o] = load_first(weight + o * w_stride + k, rest);
    for (std::size_t r = 0; r < Rows; ++r) {
      const Lanes xr = load_first(x + r * x_stride + k, rest);
      for (std::size_t o = 0; o < Outputs; ++o)
        sums[r * Outputs + o] = fma(xr, w[o], sums[r * Outputs + o]);
    }
  }

  float numbers[Rows * Outputs];
  sum_all<Rows * Outputs>(sums, numbers);
  for (std::size_t r = 0; r < Rows; ++r) {
    for (std::size_t o = 0; o < Outputs; ++o) y[r * y_stride + o] = numbers[r * Outputs + o];
  }
}

// Outputs [begin, end) for exactly `Rows` rows.
template <std::size_t Rows, typename Weight>
inline void strip(const Weight* weight, std::size_t w_stride, const float* x, std::size_t x_stride,
                  std::size_t columns, std::size_t begin, std::size_t end, float* y,
                  std::size_t y_stride) {
  constexpr std::size_t kOutputs = kTileOutputs[Rows];
  std::size_t o = begin;
  for (; o + kOutputs <= end; o += kOutputs) {
    tile<Rows, kOutputs>(weight + o * w_stride, w_stride, x, x_stride, columns, y + o, y_stride);
  }
  for (; o < end; ++o)
    tile<Rows, 1>(weight + o * w_stride, w_stride, x, x_stride, columns, y + o, y_stride);
}

// The last n_rows <= Rows rows: finds the template argument for a number known only now.
template <std::size_t Rows, typename Weight>
inline void last_strip(const Weight* weight, std::size_t w_stride, const float* x,
                       std::size_t x_stride, std::size_t columns, std::size_t n_rows,
                       std::size_t begin, std::size_t end, float* y, std::size_t y_stride) {
  if constexpr (Rows > 0) {
    if (n_rows == Rows) {
      strip<Rows>(weight, w_stride, x, x_stride, columns, begin, end, y, y_stride);
    } else {
      last_strip<Rows - 1>(weight, w_stride, x, x_stride, columns, n_rows, begin, end, y, y_stride);
    }
  }
}

template <typename Weight>
inline void product(const Weight* weight, std::size_t w_stride, const float* x,
                    std::size_t x_stride, std::size_t columns, std::size_t n_rows,
                    std::size_t begin, std::size_t end, float* y, std::size_t y_stride) {
  while (n_rows > kTileRows) {
    strip<kTileRows>(weight, w_stride, x, x_stride, columns, begin, end, y, y_stride);
    x += kTileRows * x_stride;
    y += kTileRows * y_stride;
    n_rows -= kTileRows;
  }
  last_strip<kTileRows>(weight, w_stride, x, x_stride, columns, n_rows, begin, end, y, y_stride);
}

void matmul(const Matrix& weight, const float* x, std::size_t x_stride, std::size_t n_rows,
            std::size_t begin, std::size_t end, float* y, std::size_t y_stride) {
  const std::size_t columns = weight.columns;
  if (weight.type == WeightType::f32) {
    product(static_cast<const float*>(weight.data), columns, x, x_stride, columns, n_rows, begin,
            end, y, y_stride);
  } else {
    product(static_cast<const Bf16*>(weight.data), columns, x, x_stride, columns, n_rows, begin,
            end, y, y_stride);
  }
}

float dot(const float* a, const float* b, std::size_t n) {
  float result;
  tile<1, 1>(a, 0, b, 0, n, &result, 0);
  return result;
}

void attention_scores(const float* q, const float* keys, std::size_t stride, std::size_t t,
                      std::size_t head_dim, float scale, float* score) {
  strip<1>(keys, stride, q, 0, head_dim, 0, t, score, 0);
  for (std::size_t j = 0; j < t; ++j) score[j] *= scale;
}

}  // namespace
}  // namespace switchyard::kernels
