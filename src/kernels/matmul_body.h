// The matrix product over the Lanes of one instruction set.
//
// A tile computes R rows of x times O outputs: R * O independent sums hide the latency of the
// multiply-add, and every loaded weight is used R times. The whole of one output's dot product runs
// through one accumulator, in order, so no choice made here (tile shapes, blocks) changes a bit of
// the result.
//
// Copying weights into blocks that fit L1 was tried and was slower than fetching ahead at every
// size from 256 to 4096 columns on AVX-512 (Zen 4: 0.70 to 0.95 of the multiply-add peak as it is).
#pragma once

#include <cstddef>

#include "kernels/blocks.h"
#include "kernels/kernels.h"
#include "kernels/unrolled.h"

namespace switchyard::kernels {
namespace {

// The prefetchers of the CPU start anew with every row and need it to be long. Fetching this many
// bytes ahead into L2 on request makes rows of 2 KiB come from memory twice as fast; 8 KiB cover
// 100 ns of latency at 80 GB/s. Into L1 it gains nothing: that many lines of a few rows fall on the
// same few sets.
constexpr std::size_t kAhead = 8192;

// Weights that stay in L2 while all rows of x pass by: half of 1 MiB.
constexpr std::size_t kBlockBytes = std::size_t{512} << 10;

// Rows of a row-major matrix, and how far behind them those lie that come next: 0 elements where
// none do.
template <typename Element>
struct RowsOf {
  const Element* data;
  std::size_t stride;
  std::size_t ahead = 0;

  const Element* at(std::size_t row, std::size_t column) const {
    return data + row * stride + column;
  }
  RowsOf from(std::size_t row) const { return {data + row * stride, stride, ahead}; }
  void fetch_ahead(std::size_t row, std::size_t column) const {
    __builtin_prefetch(at(row, column) + ahead, 0, 2);
  }
};

// y[r * y_stride + o] = dot(row r of x, row o of weight), for R rows and O outputs. All loops over
// R and O are unrolled, so that the sums live in registers.
template <std::size_t R, std::size_t O, typename Weight>
inline void tile(const RowsOf<Weight>& weight, const RowsOf<float>& x, std::size_t columns,
                 float* y, std::size_t y_stride) {
  Lanes sums[R * O];
  unrolled<R * O>([&](auto i) { sums[i.value] = zero(); });

  std::size_t k = 0;
  for (; k + kLanes <= columns; k += kLanes) {
    unrolled<O>([&](auto o) { weight.fetch_ahead(o.value, k); });
    // One part after the other: beside the sums, registers hold the weights and x of one part only.
    unrolled<kParts>([&](auto p) {
      constexpr std::size_t kPart = p.value;
      Part w[O];
      unrolled<O>([&](auto o) { w[o.value] = load_part<kPart>(weight.at(o.value, k)); });
      unrolled<R>([&](auto r) {
        const Part xr = load_part<kPart>(x.at(r.value, k));
        unrolled<O>([&](auto o) {
          Part& to = part<kPart>(sums[r.value * O + o.value]);
          to = fma(xr, w[o.value], to);
        });
      });
    });
  }
  if (k < columns) {
    const std::size_t rest = columns - k;
    Lanes w[O];
    unrolled<O>([&](auto o) { w[o.value] = load_first(weight.at(o.value, k), rest); });
    unrolled<R>([&](auto r) {
      const Lanes xr = load_first(x.at(r.value, k), rest);
      unrolled<O>([&](auto o) {
        Lanes& to = sums[r.value * O + o.value];
        to = fma(xr, w[o.value], to);
      });
    });
  }

  float numbers[R * O];
  constexpr std::size_t kInFours = R * O / 4 * 4;
  unrolled<R * O / 4>([&](auto i) { sum4(sums + i.value * 4, numbers + i.value * 4); });
  unrolled<R * O % 4>([&](auto i) { numbers[kInFours + i.value] = sum(sums[kInFours + i.value]); });
  for (std::size_t r = 0; r < R; ++r) {
    for (std::size_t o = 0; o < O; ++o) y[r * y_stride + o] = numbers[r * O + o];
  }
}

// Outputs [begin, end) for exactly R rows.
template <std::size_t R, typename Weight>
inline void strip(RowsOf<Weight> weight, RowsOf<float> x, std::size_t columns, std::size_t begin,
                  std::size_t end, float* y, std::size_t y_stride) {
  constexpr std::size_t kOutputs = kTileOutputs[R];
  // Whole tiles ahead: each row of a tile fetches for the row that takes its place.
  const std::size_t tile_bytes = kOutputs * weight.stride * sizeof(Weight);
  const std::size_t tiles_ahead = tile_bytes == 0 ? 0 : kAhead / tile_bytes + 1;
  std::size_t o = begin;
  for (; o + kOutputs <= end; o += kOutputs) {
    RowsOf<Weight> rows = weight.from(o);
    if (o + (tiles_ahead + 1) * kOutputs <= end)
      rows.ahead = tiles_ahead * kOutputs * weight.stride;
    tile<R, kOutputs>(rows, x, columns, y + o, y_stride);
  }
  for (; o < end; ++o) tile<R, 1>(weight.from(o), x, columns, y + o, y_stride);
}

// Full strips, but what is left at the end in equal halves: a strip of one row has little to hide
// latency with.
constexpr std::size_t rows_of_next_strip(std::size_t left) {
  if (left <= kTileRows) return left;
  return left < 2 * kTileRows ? (left + 1) / 2 : kTileRows;
}

// The start of a range, which no tile before it fetches: as far as the first tiles look ahead.
template <typename Weight>
inline void fetch_first(RowsOf<Weight> weight, std::size_t columns, std::size_t begin,
                        std::size_t end) {
  constexpr std::size_t kLine = 64 / sizeof(Weight);
  constexpr std::size_t kMost = 2 * kAhead / sizeof(Weight);
  const std::size_t all = (end - begin) * columns;
  for (std::size_t i = 0; i < all && i < kMost; i += kLine)
    __builtin_prefetch(weight.at(begin, 0) + i, 0, 2);
}

template <typename Weight>
inline void product(RowsOf<Weight> weight, RowsOf<float> x, std::size_t columns, std::size_t n_rows,
                    std::size_t begin, std::size_t end, float* y, std::size_t y_stride) {
  constexpr std::size_t kMostOutputs = 12;  // a multiple of every tile's outputs
  const std::size_t fit =
      kBlockBytes / (columns * sizeof(Weight) + 1) / kMostOutputs * kMostOutputs;
  // Rows that make one strip use each weight once: no block need stay.
  const std::size_t block = n_rows <= kTileRows ? end - begin : fit == 0 ? kMostOutputs : fit;
  fetch_first(weight, columns, begin, end);
  for (std::size_t o = begin; o < end; o += block) {
    const std::size_t block_end = end - o < block ? end : o + block;
    for (std::size_t n = 0; n < n_rows;) {
      const std::size_t rows = rows_of_next_strip(n_rows - n);
      with_constant<kTileRows>(rows, [&](auto count) {
        strip<count.value>(weight, x.from(n), columns, o, block_end, y + n * y_stride, y_stride);
      });
      n += rows;
    }
  }
}

void matmul(const Matrix& weight, const float* x, std::size_t x_stride, std::size_t n_rows,
            std::size_t begin, std::size_t end, float* y, std::size_t y_stride) {
  const std::size_t columns = weight.columns;
  const RowsOf<float> x_rows{x, x_stride};
  if (weight.type == DType::f32) {
    const RowsOf<float> rows{static_cast<const float*>(weight.data), columns};
    product(rows, x_rows, columns, n_rows, begin, end, y, y_stride);
  } else if (weight.type == DType::f16) {
    const RowsOf<Half> rows{static_cast<const Half*>(weight.data), columns};
    product(rows, x_rows, columns, n_rows, begin, end, y, y_stride);
  } else {
    const RowsOf<Bf16> rows{static_cast<const Bf16*>(weight.data), columns};
    product(rows, x_rows, columns, n_rows, begin, end, y, y_stride);
  }
}

float dot(const float* a, const float* b, std::size_t n) {
  float result;
  tile<1, 1>(RowsOf<float>{a, 0}, RowsOf<float>{b, 0}, n, &result, 0);
  return result;
}

}  // namespace
}  // namespace switchyard::kernels
