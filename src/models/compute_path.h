// The three ways to compute an MoE layer's experts. They agree to 1e-5 relative, values and
// gradients; only speed differs.
#pragma once

#include <cstdint>
#include <string_view>

namespace switchyard::models {

enum class ComputePath {
  automatic,     // the fastest for the shape, see choose_path()
  naive,         // a loop over experts out of plain tensor operations: the oracle of the other two
  grouped,       // items sorted expert-major, one GEMM an expert into slices of shared buffers,
                 // hand-written backward
  masked_dense,  // every expert computes every item, unchosen ones get weight zero: wins when
                 // nearly all are chosen
};

std::string_view path_name(ComputePath path);
ComputePath path_from_name(std::string_view name);  // throws Error listing the names

// What the choice looks at. N items, A assignments (N * K without drops), E expert slots, D model
// width, F expert width.
struct PathShape {
  std::int64_t items = 0;        // N
  std::int64_t assignments = 0;  // A
  std::int64_t experts = 0;      // E
  std::int64_t width = 0;        // D
  std::int64_t hidden = 0;       // F
};

// Never `automatic`. The rule and the measurements behind it: compute_path.cc.
ComputePath choose_path(const PathShape& shape);

}  // namespace switchyard::models
