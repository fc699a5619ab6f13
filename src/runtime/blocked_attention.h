// Causal attention of a run's tokens over their sessions' caches, in blocks of positions and spread
// over threads. Private to the runtime; kernels/attention.h has the arithmetic.
//
// A query's positions are cut into segments that lie at fixed positions: 16 of 256, then, with
// every doubling of the context, 8 more that are twice as long. Each segment gives a part, and
// parts are merged in ascending order. So which bits a query gets depends neither on the number of
// threads nor on what else is computed with it, and still there are pieces of at most a sixteenth
// of a long context for the threads to share; their number grows with the logarithm of the context.
//
// Many queries (a prompt) are taken in units of up to kUnitRows that look at the same head's cache:
// one thread goes through all segments and reads each block of keys and values once for all rows.
// With too few units for the threads (decoding), units are split by segments.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "switchyard/model_config.h"

namespace switchyard::runtime {

struct Run;

// One head's query of a token: in one piece, or in two that follow each other. Its result goes to
// `out`, which may be where the query was.
struct HeadQuery {
  std::span<const float> first;
  std::span<const float> second = {};
  float* out = nullptr;
};

// query(n, h): of token n of the run and query head h.
void attend_to_caches(Run& run, int layer,
                      const std::function<HeadQuery(std::size_t, std::size_t)>& query);

// The end of the segment that `position` lies in; how many there are up to it.
std::size_t segment_end(std::size_t position);
std::size_t segments_until(std::size_t positions);

// Memory for it, in floats: for each thread, and for the parts of units that are split.
struct AttentionMemory {
  static constexpr std::size_t kUnitRows = 64;

  explicit AttentionMemory(const ModelConfig& config);

  std::size_t workers = 0;
  std::size_t state_floats = 0;   // of one row
  std::size_t block_floats = 0;   // for the kernel
  std::size_t query_floats = 0;   // queries put together from two pieces
  std::size_t worker_floats = 0;  // all of that and two states a row
  std::size_t part_rows = 0;      // states for parts
};

}  // namespace switchyard::runtime
