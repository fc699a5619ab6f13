// Attention in blocks of positions over the Lanes of one instruction set. attention.h has the rule.
//
// A block is read as it is cached where few rows look at it (decoding: memory is what is scarce),
// and made floats once where many do (prompts).
#pragma once

#include <cstddef>

#include "kernels/attention.h"
#include "kernels/cache_body.h"
#include "kernels/math_body.h"
#include "kernels/unrolled.h"

namespace switchyard::kernels {
namespace {

// Positions [begin, end) of a block.
struct Seen {
  std::size_t begin, end;
  bool any() const { return begin < end; }
};

inline float larger(float a, float b) { return a > b ? a : b; }
inline std::size_t least(std::size_t a, std::size_t b) { return a < b ? a : b; }
inline std::size_t most(std::size_t a, std::size_t b) { return a > b ? a : b; }
inline float exp_of(float x) {
  float all[kLanes];
  store(all, exp(broadcast(x)));
  return all[0];
}

// scores[r * kAttentionBlock + j] of R rows against `O` groups of keys from `group` on.
template <std::size_t R, std::size_t O, typename Keys>
inline void score_groups(const Keys& keys, const AttentionRow* rows, std::size_t group, float scale,
                         float* scores) {
  Lanes sums[R * O];
  unrolled<R * O>([&](auto i) { sums[i.value] = zero(); });
  for (std::size_t first = 0; first < keys.width; first += kBlock) {
    const std::size_t count = least(kBlock, keys.width - first);
    typename Keys::Chunk chunk[O];
    unrolled<O>([&](auto o) { chunk[o.value] = keys.chunk(group + o.value, first); });
    const float* query[R];
    unrolled<R>([&](auto r) { query[r.value] = rows[r.value].query + first; });
    for (std::size_t d = 0; d < count; ++d) {
      unrolled<O>([&](auto o) {
        const Lanes k = chunk[o.value][d];
        unrolled<R>([&](auto r) {
          Lanes& sum = sums[r.value * O + o.value];
          sum = fma(broadcast(query[r.value][d]), k, sum);
        });
      });
    }
  }
  unrolled<R>([&](auto r) {
    unrolled<O>([&](auto o) {
      store(scores + r.value * kAttentionBlock + (group + o.value) * kLanes,
            multiply(sums[r.value * O + o.value], broadcast(scale)));
    });
  });
}

template <std::size_t R, typename Keys>
inline void score(const Keys& keys, const AttentionRow* rows, Seen seen, float scale,
                  float* scores) {
  constexpr std::size_t kGroups = kAttentionBlock / kKeyGroup;
  constexpr std::size_t kAtOnce = kAttendVectors[R] < kGroups ? kAttendVectors[R] : kGroups;
  const std::size_t end = (seen.end + kKeyGroup - 1) / kKeyGroup;
  std::size_t group = seen.begin / kKeyGroup;
  for (; group + kAtOnce <= end; group += kAtOnce)
    score_groups<R, kAtOnce>(keys, rows, group, scale, scores);
  for (; group < end; ++group) score_groups<R, 1>(keys, rows, group, scale, scores);
}

// One row's scores to weights; its state to the new largest score.
inline void weigh(float* scores, Seen seen, float* state, std::size_t value_width) {
  const std::size_t begin = seen.begin / kLanes * kLanes;
  const std::size_t end = (seen.end + kLanes - 1) / kLanes * kLanes;
  const float never = -__builtin_inff();
  for (std::size_t j = begin; j < seen.begin; ++j) scores[j] = never;
  for (std::size_t j = seen.end; j < end; ++j) scores[j] = never;
  Lanes tops = load(scores + begin);
  for (std::size_t j = begin + kLanes; j < end; j += kLanes) tops = maximum(tops, load(scores + j));
  const float before = state[0];
  const float top = larger(before, largest(tops));
  const Lanes shift = broadcast(top);
  Lanes sums = zero();
  for (std::size_t j = begin; j < end; j += kLanes) {
    const Lanes weight = exp(subtract(load(scores + j), shift));
    store(scores + j, weight);
    sums = add(sums, weight);
  }
  // Times 1 changes nothing, so it is left out.
  const float factor = before == top ? 1.0F : exp_of(before - top);
  if (factor != 1.0F) {
    float* const result = state + kLanes;
    for (std::size_t d = 0; d < value_width; d += kLanes)
      store(result + d, multiply(load(result + d), broadcast(factor)));
  }
  state[0] = top;
  state[1] = __builtin_fmaf(state[1], factor, sum(sums));
}

// result[r][d..] += sum over j in `seen` of weight[r][j] * value_j[d..], W vectors wide.
template <std::size_t R, std::size_t W, typename Values>
inline void add_columns(const Values& values, const AttentionRow* rows, const float* weights,
                        Seen seen, std::size_t d) {
  Lanes sums[R * W];
  unrolled<R>([&](auto r) {
    unrolled<W>([&](auto w) {
      sums[r.value * W + w.value] = load(rows[r.value].state + kLanes + d + w.value * kLanes);
    });
  });
  for (std::size_t j = seen.begin; j < seen.end; ++j) {
    unrolled<W>([&](auto w) {
      const Lanes v = values.at(j, d + w.value * kLanes);
      unrolled<R>([&](auto r) {
        Lanes& sum = sums[r.value * W + w.value];
        sum = fma(broadcast(weights[r.value * kAttentionBlock + j]), v, sum);
      });
    });
  }
  unrolled<R>([&](auto r) {
    unrolled<W>([&](auto w) {
      store(rows[r.value].state + kLanes + d + w.value * kLanes, sums[r.value * W + w.value]);
    });
  });
}

template <std::size_t R, typename Values>
inline void add_values(const Values& values, const AttentionRow* rows, const float* weights,
                       Seen seen, std::size_t width) {
  constexpr std::size_t kAtOnce = kAttendVectors[R];
  std::size_t d = 0;
  for (; d + kAtOnce * kLanes <= width; d += kAtOnce * kLanes)
    add_columns<R, kAtOnce>(values, rows, weights, seen, d);
  for (; d + kLanes <= width; d += kLanes) add_columns<R, 1>(values, rows, weights, seen, d);
  if (d == width) return;
  for (std::size_t r = 0; r < R; ++r) {
    float* const result = rows[r].state + kLanes + d;
    Lanes sum = load(result);
    for (std::size_t j = seen.begin; j < seen.end; ++j) {
      sum = fma(broadcast(weights[r * kAttentionBlock + j]), values.first(j, d, width - d), sum);
    }
    store(result, sum);
  }
}

// R rows against the block that starts at `start`; `memory` has their scores.
template <std::size_t R>
inline void attend_tile(const BlockView& view, const AttentionRow* rows, std::size_t start,
                        std::size_t end, std::size_t value_width, float scale) {
  float scores[R * kAttentionBlock];
  Seen seen[R];
  Seen any = {kAttentionBlock, 0}, all = {0, kAttentionBlock};
  for (std::size_t r = 0; r < R; ++r) {
    const std::size_t first = most(rows[r].first, start), last = least(rows[r].end, end);
    seen[r] = first < last ? Seen{first - start, last - start} : Seen{0, 0};
    if (seen[r].any()) any = {least(any.begin, seen[r].begin), most(any.end, seen[r].end)};
    all = {most(all.begin, seen[r].begin), least(all.end, seen[r].end)};
  }
  if (!any.any()) return;
  with_keys(view, [&](const auto& keys) { score<R>(keys, rows, any, scale, scores); });
  for (std::size_t r = 0; r < R; ++r) {
    if (seen[r].any()) weigh(scores + r * kAttentionBlock, seen[r], rows[r].state, value_width);
  }
  // What all rows see is read once for all; each adds what else it sees before and behind that.
  if (!all.any()) all = {kAttentionBlock, kAttentionBlock};
  with_values(view, [&](const auto& values) {
    const auto alone = [&](std::size_t r, std::size_t begin, std::size_t until) {
      if (begin >= until) return;
      add_values<1>(values, rows + r, scores + r * kAttentionBlock, {begin, until}, value_width);
    };
    for (std::size_t r = 0; r < R; ++r) alone(r, seen[r].begin, least(seen[r].end, all.begin));
    if (all.any()) add_values<R>(values, rows, scores, all, value_width);
    for (std::size_t r = 0; r < R; ++r) alone(r, most(seen[r].begin, all.end), seen[r].end);
  });
}

// Positions [begin, end) of a block, made floats; its groups whole.
struct BlockRange {
  std::size_t first_group, end_group, begin, end;
};

inline const float* widened_keys(const BlockView& view, const BlockRange& range, float* memory) {
  with_keys(view, [&](const auto& keys) {
    for (std::size_t g = range.first_group; g < range.end_group; ++g) {
      for (std::size_t first = 0; first < view.key_width; first += kBlock) {
        const auto chunk = keys.chunk(g, first);
        float* const to = memory + (g * view.key_width + first) * kKeyGroup;
        const std::size_t count = least(kBlock, view.key_width - first);
        for (std::size_t d = 0; d < count; ++d) store(to + d * kKeyGroup, chunk[d]);
      }
    }
  });
  return memory;
}

inline const float* widened_values(const BlockView& view, std::size_t begin, std::size_t end,
                                   float* memory) {
  const std::size_t width = view.row_width;
  with_values(view, [&](const auto& values) {
    for (std::size_t j = begin; j < end; ++j) {
      float* const to = memory + j * width;
      std::size_t d = 0;
      for (; d + kLanes <= width; d += kLanes) store(to + d, values.at(j, d));
      if (d < width) store_first(to + d, values.first(j, d, width - d), width - d);
    }
  });
  return memory;
}

// Groups of keys from rows of floats.
inline const float* grouped(const float* rows, const BlockView& view, const BlockRange& range,
                            float* memory) {
  const std::size_t width = view.row_width;
  for (std::size_t g = range.first_group; g < range.end_group; ++g) {
    const float* const from = rows + g * kKeyGroup * width;
    float* const to = memory + g * kKeyGroup * width;
    std::size_t d = 0;
    for (; d + kLanes <= width; d += kLanes) transpose(from + d, width, to + d * kKeyGroup);
    for (; d < width; ++d) {
      for (std::size_t k = 0; k < kKeyGroup; ++k) to[d * kKeyGroup + k] = from[k * width + d];
    }
  }
  return memory;
}

// The block at `start` as it is cached. Every type has 34 bytes for 32 values or a whole number
// for one, so the positions before it have whole bytes.
inline BlockView cached_block(const AttentionCache& cache, std::size_t start) {
  const auto bytes = [&](DType type, std::size_t width) {
    const std::size_t values = start * width;
    return type == DType::f32    ? values * sizeof(float)
           : type == DType::q8_0 ? values / kBlock * sizeof(BlockQ8_0)
                                 : values * sizeof(F16);
  };
  const bool latent = cache.keys == nullptr;
  const std::size_t row_width = latent ? cache.key_width : cache.value_width;
  const DType key_type = latent ? DType::f32 : cache.key_type;
  return {.key_type = key_type,
          .keys = latent ? nullptr : cache.keys + bytes(cache.key_type, cache.key_width),
          .value_type = cache.value_type,
          .values = cache.values + bytes(cache.value_type, row_width),
          .key_width = cache.key_width,
          .row_width = row_width};
}

// The same in floats, as far as [begin, end) of the block is seen.
inline BlockView widened_block(const AttentionCache& cache, BlockView view, Seen seen,
                               float* memory) {
  const BlockRange range = {seen.begin / kKeyGroup, (seen.end + kKeyGroup - 1) / kKeyGroup,
                            seen.begin, seen.end};
  float* const value_memory = memory + kAttentionBlock * view.key_width;
  const bool latent = cache.keys == nullptr;
  if (view.value_type != DType::f32) {
    view.values = latent ? widened_values(view, range.first_group * kKeyGroup,
                                          range.end_group * kKeyGroup, value_memory)
                         : widened_values(view, range.begin, range.end, value_memory);
    view.value_type = DType::f32;
  }
  if (latent) {
    view.keys = grouped(static_cast<const float*>(view.values), view, range, memory);
  } else if (view.key_type != DType::f32) {
    view.keys = widened_keys(view, range, memory);
    view.key_type = DType::f32;
  }
  return view;
}

void attend(const AttentionCache& cache, const AttentionRow* rows, std::size_t n_rows,
            std::size_t begin, std::size_t end, float scale, float* memory) {
  for (std::size_t start = begin; start < end; start += kAttentionBlock) {
    const std::size_t block_end = least(start + kAttentionBlock, end);
    Seen seen = {kAttentionBlock, 0};
    for (std::size_t r = 0; r < n_rows; ++r) {
      const std::size_t first = most(rows[r].first, start), last = least(rows[r].end, block_end);
      if (first < last) seen = {least(seen.begin, first - start), most(seen.end, last - start)};
    }
    if (!seen.any()) continue;
    BlockView view = cached_block(cache, start);
    if (n_rows > kAttendRows || cache.keys == nullptr)
      view = widened_block(cache, view, seen, memory);
    for (std::size_t r = 0; r < n_rows;) {
      const std::size_t count = least(n_rows - r, kAttendRows);
      with_constant<kAttendRows>(count, [&](auto tile) {
        attend_tile<tile.value>(view, rows + r, start, block_end, cache.value_width, scale);
      });
      r += count;
    }
  }
}

void merge_attention(const float* part, float* total, std::size_t value_width) {
  if (part[1] == 0.0F) return;
  const bool first = total[1] == 0.0F;
  const float top = larger(total[0], part[0]);
  const float keep = first ? 0.0F : exp_of(total[0] - top), take = exp_of(part[0] - top);
  for (std::size_t d = kLanes; d < kLanes + value_width; d += kLanes) {
    const Lanes taken = multiply(load(part + d), broadcast(take));
    store(total + d, first ? load(part + d) : fma(load(total + d), broadcast(keep), taken));
  }
  total[1] = first ? part[1] : __builtin_fmaf(total[1], keep, part[1] * take);
  total[0] = first ? part[0] : top;
}

void finish_attention(const float* state, const float* sink, std::size_t value_width, float* out) {
  const float top = sink == nullptr ? state[0] : larger(state[0], *sink);
  const float keep = top == state[0] ? 1.0F : exp_of(state[0] - top);
  const float beside = sink == nullptr ? 0.0F : exp_of(*sink - top);
  const Lanes factor = broadcast(keep), total = broadcast(__builtin_fmaf(state[1], keep, beside));
  const float* const result = state + kLanes;
  std::size_t d = 0;
  for (; d + kLanes <= value_width; d += kLanes)
    store(out + d, divide(multiply(load(result + d), factor), total));
  if (d < value_width) {
    store_first(out + d, divide(multiply(load(result + d), factor), total), value_width - d);
  }
}

}  // namespace
}  // namespace switchyard::kernels
