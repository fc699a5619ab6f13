// Attention over cached keys and values, in blocks of positions with a running softmax (Milakov
// 2018, Dao 2022): no buffer grows with the context.
//
// Positions are those of the sequence, from 0 on; a block is kAttentionBlock of them, and starts at
// a multiple of that. What one row (a query of one head) gets depends on its query, the positions
// it sees and what is cached there, not on the other rows computed with it nor on the block size of
// the caller's work: per row
//
//   score_j = scale * sum over d, ascending, of query[d] key_j[d]          (fused multiply-adds)
//   of a block: m = largest score so far, p_j = exp(score_j - m),
//   sum and result, multiplied by exp(m before - m), get sum_j p_j and sum_j p_j value_j
//
// the last over j ascending, sum_j p_j by the rule of sixteen partial sums (kernels.h). All kernel
// sets give the same bits. Elements of every type become the floats they stand for before they are
// computed with, which is exact.
//
// How a cache lies in memory. Both parts take rows of `width` values by position, from position 0
// on; a row of Q8_0 is whole blocks (width a multiple of 32), f16 and bf16 are rounded to nearest
// even.
//
//   values  one row after the other; Q8_0 as in GGUF (blocks.h)
//   keys    groups of kKeyGroup positions, [width][kKeyGroup], so that one load has an element of
//           sixteen keys; Q8_0: for each 32 elements of a row the f16 scales of the group's
//           keys, then 32 x kKeyGroup bytes
//
// Memory is allocated for whole groups; what lies in positions that nobody sees may be anything.
#pragma once

#include <cstddef>

#include "switchyard/dtype.h"

namespace switchyard::kernels {

inline constexpr std::size_t kAttentionBlock = 64;
inline constexpr std::size_t kKeyGroup = 16;

// One head's cache, or with latent attention that of all heads.
struct AttentionCache {
  DType key_type = DType::f32;
  DType value_type = DType::f32;
  // Null for latent attention: a row of `values` is then key_width wide and is the key too; its
  // first value_width elements are the value.
  const std::byte* keys = nullptr;
  const std::byte* values = nullptr;
  std::size_t key_width = 0;
  std::size_t value_width = 0;
};

// A query of one head: key_width floats, the positions [first, end) it sees, and its running
// result: attention_state_floats(value_width) floats at a multiple of 64 bytes, made by
// attention_clear.
struct AttentionRow {
  const float* query = nullptr;
  std::size_t first = 0;
  std::size_t end = 0;
  float* state = nullptr;
};

// Whether a cache may hold this type: F32, F16, BF16, Q8_0.
bool is_cache_type(DType type);
// Bytes of one head's keys and values for `positions`, in whole groups.
std::size_t cached_keys_bytes(DType type, std::size_t width, std::size_t positions);
std::size_t cached_values_bytes(DType type, std::size_t width, std::size_t positions);

// Largest score, sum, and the result before it is divided by the sum.
std::size_t attention_state_floats(std::size_t value_width);
void attention_clear(float* state, std::size_t value_width);

// Memory that attend() may use: for a block as floats.
std::size_t attention_memory_floats(std::size_t key_width, std::size_t value_width);

}  // namespace switchyard::kernels
