// The product with quantised weights over the Words of one instruction set. Vectors run over
// outputs, so every sum goes through one lane in the order quantised.h fixes, whatever is chosen
// here.
//
// Up to kFewRows rows of x take the unpacked weights straight from registers: memory is the limit.
// More rows share them: a panel of kPanelBlocks blocks by some vectors of outputs is unpacked onto
// the stack, where it stays in L1 while the rows pass by in tiles; their sums wait in y from panel
// to panel. From memory, 2 to 4 rows take 0.6 of the time that way that panels of so few rows take.
//
// A tile of 6 rows by 2 vectors does 96 products of bytes, 12 multiplications and 12 fused ones a
// block, all by the same two units of a Zen 4: 0.8 of the peak of 8-bit products is the most these
// numerics allow there.
#pragma once

#include <cstddef>

#include "kernels/kernels.h"
#include "kernels/q8_types.h"
#include "kernels/quantised.h"

namespace switchyard::kernels {
namespace {

constexpr std::size_t kUnit = 8;          // blocks of 32 columns that are unpacked together
constexpr std::size_t kPanelBlocks = 16;  // two units

struct Weights {
  const std::uint8_t* data;
  std::size_t row_bytes;
  std::size_t blocks;  // of 32 columns
  std::size_t begin, end;
};

// kOut rows' worth of one unit, where a row is missing or the unit not whole: zeros fill it up.
template <typename Type>
struct Staged {
  alignas(64) std::uint8_t bytes[kOut * Type::kUnitBytes];

  void copy(const std::uint8_t* p, std::size_t stride, std::size_t rows, std::size_t row_bytes) {
    __builtin_memset(bytes, 0, sizeof(bytes));
    for (std::size_t r = 0; r < rows; ++r)
      __builtin_memcpy(bytes + r * Type::kUnitBytes, p + r * stride, row_bytes);
  }
};

// Lines of one unit of one row, wanted later. Each row fetches for the one that takes its place
// when its tile is done, so the distance is a whole tile. Measured on one core of a Zen 4, decode
// of 2048 columns reaches 0.9 of what bf16 rows reach; 0.6 to 0.8 with the same lines fetched front
// to back or 512 to 1024 bytes ahead in the row, 0.4 into L1 and 0.3 to 0.6 without.
template <std::size_t UnitBytes>
inline void fetch_unit(std::uintptr_t at) {
  unrolled<(UnitBytes + 63) / 64>([&](auto line) {
    __builtin_prefetch(reinterpret_cast<const void*>(at + 64 * line.value), 0, 2);
  });
}
// The first bytes of the first rows, which nothing before them fetches; the CPU's own prefetchers
// know the way from there.
constexpr std::size_t kMostFirstBytes = 1024;
inline void fetch_first(const Weights& w, std::size_t most_rows, std::size_t most_bytes) {
  const std::size_t rows = w.end - w.begin < most_rows ? w.end - w.begin : most_rows;
  const std::size_t bytes = w.row_bytes < most_bytes ? w.row_bytes : most_bytes;
  for (std::size_t r = 0; r < rows; ++r) {
    const std::uint8_t* row = w.data + (w.begin + r) * w.row_bytes;
    for (std::size_t i = 0; i < bytes; i += 64) __builtin_prefetch(row + i, 0, 2);
  }
}
// How far behind output o the rows lie that are read at least kAhead bytes later, in steps of
// `rows` outputs; 0 where none are. Twice as far gains nothing.
constexpr std::size_t kAhead = std::size_t{16} << 10;
inline std::size_t bytes_ahead(const Weights& w, std::size_t o, std::size_t rows) {
  const std::size_t steps = (kAhead + rows * w.row_bytes - 1) / (rows * w.row_bytes);
  return w.end - o >= steps * rows + kOut ? steps * rows * w.row_bytes : 0;
}

// The same lines in small shares, where computing takes longer than fetching: the bytes that the
// next panel reads, in the order in which it reads them.
struct FetchLater {
  std::uintptr_t at = 0;
  std::size_t stride = 0, lines = 0;  // of a row
  std::size_t rows = 0, line = 0;
  std::size_t share = 0;  // lines a step

  [[gnu::always_inline]] inline void step() {
    for (std::size_t i = 0; i < share && rows > 0; ++i) {
      __builtin_prefetch(reinterpret_cast<const void*>(at + 64 * line), 0, 2);
      if (++line < lines) continue;
      line = 0;
      at += stride;
      --rows;
    }
  }
};

// Calls use(Constant<i>, unpacked) for the blocks of unit `unit` of the outputs from o on, in
// order, and after each fetch(Constant<i>, bytes of the unit's first row).
template <typename Type, typename Use, typename Fetch>
[[gnu::always_inline]] inline void each_block(const Weights& w, std::size_t o, std::size_t unit,
                                              const Use& use, const Fetch& fetch) {
  const std::size_t first = unit * kUnit;
  const std::size_t blocks = w.blocks - first < kUnit ? w.blocks - first : kUnit;
  const std::size_t rows = w.end - o < kOut ? w.end - o : kOut;
  const std::size_t offset = unit * Type::kUnitBytes;
  const std::uint8_t* p = w.data + o * w.row_bytes + offset;
  std::size_t stride = w.row_bytes;
  const auto in_place = reinterpret_cast<std::uintptr_t>(p);
  Staged<Type> staged;
  if (rows < kOut || blocks < kUnit) {
    staged.copy(p, stride, rows, Type::kUnitBytes * blocks / kUnit);
    p = staged.bytes;
    stride = Type::kUnitBytes;
  }
  Type type;
  type.p = p;
  type.stride = stride;
  unrolled<kUnit>([&](auto i) {
    if (i.value >= blocks) return;
    Unpacked unpacked;
    type.template block<i.value>(unpacked);
    use(i, unpacked);
    // A burst of requests would fill the queue of those that are waited for: a share with each
    // block.
    fetch(i, in_place);
  });
}

// -sum * 2^bits: what the offset of the codes added to the sum of products.
template <typename Shape>
inline Words start_of(std::int32_t sum) {
  if constexpr (Shape::kOffsetBits < 0) return splat(0);
  return splat(static_cast<std::uint32_t>(-sum)
               << (Shape::kOffsetBits < 0 ? 0 : Shape::kOffsetBits));
}

// One block into the running sums of R rows by O vectors. codes(o, w) gives words of codes,
// extra(o) the rest of what was unpacked, x(r) the rows' block.
template <typename Shape, std::size_t R, std::size_t O, typename Codes, typename Extra,
          typename Rows>
[[gnu::always_inline]] inline void add_block(const Codes& codes, const Extra& extra, const Rows& x,
                                             Floats* sums) {
  Words totals[R * O];
  const auto q = [&](auto r) { return x(r)->q; };
  if constexpr (Shape::kHalves) {
    Words upper[R * O];
    dots<Shape, 0, 4, R, O>(
        codes, q, [&](auto r) { return start_of<Shape>(x(r)->half_sums[0]); }, totals);
    unrolled<R>([&](auto r) {
      unrolled<O>([&](auto o) {
        Words& total = totals[r.value * O + o.value];
        total = times(total, extra(o).half_scales[0]);
      });
    });
    dots<Shape, 4, 4, R, O>(
        codes, q, [&](auto r) { return start_of<Shape>(x(r)->half_sums[1]); }, upper);
    unrolled<R>([&](auto r) {
      unrolled<O>([&](auto o) {
        constexpr std::size_t kAt = r.value * O + o.value;
        totals[kAt] = plus(totals[kAt], times(upper[kAt], extra(o).half_scales[1]));
      });
    });
  } else {
    dots<Shape, 0, 8, R, O>(
        codes, q, [&](auto r) { return start_of<Shape>(x(r)->sum); }, totals);
  }
  unrolled<R>([&](auto r) {
    const Q8Block& block = *x(r);
    const Floats scale = splat_float(block.scale);
    unrolled<O>([&](auto o) {
      constexpr std::size_t kAt = r.value * O + o.value;
      Floats& sum = sums[kAt];
      if constexpr (Shape::kMinima == 1)
        sum = fused(splat_float(block.scaled_sum), extra(o).minima[0], sum);
      if constexpr (Shape::kMinima == 2) {
        sum = fused(splat_float(block.scaled_half_sums[0]), extra(o).minima[0], sum);
        sum = fused(splat_float(block.scaled_half_sums[1]), extra(o).minima[1], sum);
      }
      sum = fused(to_floats(totals[kAt]), product_of(scale, extra(o).scale), sum);
    });
  });
}

// R rows, few enough for all to take the unpacked weights from registers.
template <typename Type, std::size_t R>
[[gnu::flatten, gnu::noinline]] void product_of_few(const Weights& w, const Q8Block* x, float* y,
                                                    std::size_t y_stride) {
  using Shape = typename Type::Shape;
  const std::size_t units = (w.blocks + kUnit - 1) / kUnit;
  fetch_first(w, kOut, kMostFirstBytes);
  for (std::size_t o = w.begin; o < w.end; o += kOut) {
    Floats sums[R];
    unrolled<R>([&](auto r) { sums[r.value] = splat_float(0); });
    const std::size_t ahead = bytes_ahead(w, o, kOut);
    for (std::size_t unit = 0; unit < units; ++unit) {
      const Q8Block* const at = x + unit * kUnit;
      each_block<Type>(
          w, o, unit,
          [&](auto i, const Unpacked& unpacked) {
            add_block<Shape, R, 1>([&](auto, auto word) { return unpacked.codes[word.value]; },
                                   [&](auto) -> const Unpacked& { return unpacked; },
                                   [&](auto r) { return at + r.value * w.blocks + i.value; }, sums);
          },
          [&](auto i, std::uintptr_t row) {
            unrolled<kOut / kUnit>([&](auto r) {
              constexpr std::size_t kRow = i.value * (kOut / kUnit) + r.value;
              fetch_unit<Type::kUnitBytes>(row + ahead + kRow * w.row_bytes);
            });
          });
    }
    const std::size_t outputs = w.end - o < kOut ? w.end - o : kOut;
    unrolled<R>([&](auto r) { store_floats(y + r.value * y_stride + o, sums[r.value], outputs); });
  }
}

// The one for `rows` rows, which is between 1 and Most.
template <typename Type, std::size_t Most, typename... Arguments>
inline void any_few(std::size_t rows, const Arguments&... arguments) {
  if constexpr (Most > 0) {
    if (rows == Most) {
      product_of_few<Type, Most>(arguments...);
    } else {
      any_few<Type, Most - 1>(rows, arguments...);
    }
  }
}

// `blocks` unpacked blocks of kTileVectors vectors of outputs, or fewer of the last.
using Panel = Unpacked[kTileVectors][kPanelBlocks];

// R rows against a panel. y holds `outputs` sums of each row, unless these blocks are the first.
template <typename Shape, std::size_t R>
[[gnu::flatten, gnu::noinline]] void tile(const Panel& panel, std::size_t blocks, const Q8Block* x,
                                          std::size_t x_stride, bool first, std::size_t outputs,
                                          float* y, std::size_t y_stride, FetchLater& later) {
  constexpr std::size_t O = kTileVectors;
  FetchLater fetch = later;
  Floats sums[R * O];
  const auto count = [&](std::size_t o) {
    const std::size_t before = o * kOut;
    return outputs <= before ? 0 : outputs - before < kOut ? outputs - before : kOut;
  };
  unrolled<R * O>([&](auto i) {
    constexpr std::size_t kO = i.value % O;
    sums[i.value] = splat_float(0);
    if (!first && count(kO) > 0)
      sums[i.value] = load_floats(y + i.value / O * y_stride + kO * kOut, count(kO));
  });
  for (std::size_t b = 0; b < blocks; ++b) {
    add_block<Shape, R, O>([&](auto o, auto word) { return panel[o.value][b].codes[word.value]; },
                           [&](auto o) -> const Unpacked& { return panel[o.value][b]; },
                           [&](auto r) { return x + r.value * x_stride + b; }, sums);
    fetch.step();
  }
  later = fetch;
  unrolled<R * O>([&](auto i) {
    constexpr std::size_t kO = i.value % O;
    if (count(kO) > 0)
      store_floats(y + i.value / O * y_stride + kO * kOut, sums[i.value], count(kO));
  });
}

// The tile of `rows` rows, which is between 1 and Most.
template <typename Shape, std::size_t Most, typename... Arguments>
inline void tile_of(std::size_t rows, Arguments&&... arguments) {
  if constexpr (Most > 0) {
    if (rows == Most) {
      tile<Shape, Most>(arguments...);
    } else {
      tile_of<Shape, Most - 1>(rows, arguments...);
    }
  }
}

template <typename Type>
[[gnu::flatten, gnu::noinline]] void unpack(const Weights& w, std::size_t o, std::size_t first,
                                            std::size_t blocks, Panel& panel, FetchLater& later) {
  FetchLater fetch = later;
  for (std::size_t v = 0; v < kTileVectors && o + v * kOut < w.end; ++v) {
    for (std::size_t b = 0; b < blocks; b += kUnit) {
      each_block<Type>(
          w, o + v * kOut, (first + b) / kUnit,
          [&](auto i, const Unpacked& unpacked) {
            using Shape = typename Type::Shape;
            Unpacked& to = panel[v][b + i.value];
            unrolled<8>([&](auto k) { to.codes[k.value] = unpacked.codes[k.value]; });
            to.scale = unpacked.scale;
            unrolled<2>([&](auto k) {
              if constexpr (k.value < Shape::kMinima) to.minima[k.value] = unpacked.minima[k.value];
              if constexpr (Shape::kHalves) to.half_scales[k.value] = unpacked.half_scales[k.value];
            });
          },
          [&](auto, std::uintptr_t) { fetch.step(); });
    }
  }
  later = fetch;
}

// Rows of the next tile: what is left at the end in equal halves.
inline std::size_t rows_of_tile(std::size_t left) {
  return left <= kTileRows ? left : left < 2 * kTileRows ? (left + 1) / 2 : kTileRows;
}

// What is read after panel `first` of the outputs from o on, in shares for its unpacking and its
// tiles.
template <typename Type>
FetchLater after_panel(const Weights& w, std::size_t o, std::size_t first, std::size_t n_rows) {
  constexpr std::size_t kOutputs = kOut * kTileVectors;
  const bool row_done = first + kPanelBlocks >= w.blocks;
  const std::size_t next_o = row_done ? o + kOutputs : o;
  if (next_o >= w.end) return {};
  const std::size_t next = row_done ? 0 : (first + kPanelBlocks) / kUnit * Type::kUnitBytes;
  const std::size_t most = kPanelBlocks / kUnit * Type::kUnitBytes;
  const std::size_t bytes = w.row_bytes - next < most ? w.row_bytes - next : most;
  const std::size_t rows = w.end - next_o < kOutputs ? w.end - next_o : kOutputs;
  const std::size_t lines = (bytes + 63) / 64;
  const std::size_t blocks = w.blocks - first < kPanelBlocks ? w.blocks - first : kPanelBlocks;
  const std::size_t tiles = (n_rows + kTileRows - 1) / kTileRows;
  const std::size_t steps = blocks * (kTileVectors + tiles);
  return {.at = reinterpret_cast<std::uintptr_t>(w.data) + next_o * w.row_bytes + next,
          .stride = w.row_bytes,
          .lines = lines,
          .rows = rows,
          .share = (rows * lines + steps - 1) / steps};
}

template <typename Type>
void product_of_many(const Weights& w, const Q8Block* x, std::size_t n_rows, float* y,
                     std::size_t y_stride) {
  constexpr std::size_t kOutputs = kOut * kTileVectors;
  Panel panel;
  fetch_first(w, kOutputs, kPanelBlocks / kUnit * Type::kUnitBytes);
  for (std::size_t o = w.begin; o < w.end; o += kOutputs) {
    const std::size_t outputs = w.end - o < kOutputs ? w.end - o : kOutputs;
    for (std::size_t first = 0; first < w.blocks; first += kPanelBlocks) {
      const std::size_t blocks = w.blocks - first < kPanelBlocks ? w.blocks - first : kPanelBlocks;
      FetchLater later = after_panel<Type>(w, o, first, n_rows);
      unpack<Type>(w, o, first, blocks, panel, later);
      // Vectors of a ragged end that hold nothing are computed with the rest; they must be numbers.
      for (std::size_t v = (outputs + kOut - 1) / kOut; v < kTileVectors; ++v)
        __builtin_memset(static_cast<void*>(panel[v]), 0, sizeof(panel[v]));
      for (std::size_t n = 0; n < n_rows;) {
        const std::size_t rows = rows_of_tile(n_rows - n);
        tile_of<typename Type::Shape, kTileRows>(rows, panel, blocks, x + n * w.blocks + first,
                                                 w.blocks, first == 0, outputs,
                                                 y + n * y_stride + o, y_stride, later);
        n += rows;
      }
    }
  }
}

template <typename Type>
void product(const Matrix& weight, const std::byte* x_rows, std::size_t n_rows, std::size_t begin,
             std::size_t end, float* y, std::size_t y_stride) {
  const auto* x = reinterpret_cast<const Q8Block*>(x_rows);
  const Weights w{.data = static_cast<const std::uint8_t*>(weight.data),
                  .row_bytes = weight.columns / Type::kColumns * sizeof(typename Type::Block),
                  .blocks = weight.columns / kBlock,
                  .begin = begin,
                  .end = end};
  if (w.blocks == 0) {
    for (std::size_t n = 0; n < n_rows; ++n) {
      for (std::size_t o = begin; o < end; ++o) y[n * y_stride + o] = 0;
    }
  } else if (n_rows <= kFewRows) {
    any_few<Type, kFewRows>(n_rows, w, x, y, y_stride);
  } else {
    product_of_many<Type>(w, x, n_rows, y, y_stride);
  }
}

}  // namespace
}  // namespace switchyard::kernels
