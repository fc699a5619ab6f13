// Dispatch: the same decision sorted expert-major, so that each expert's items are contiguous.
// Combine reverses it.
//
//   histogram of experts -> prefix sum -> stable permutation
//
// N items, E experts, A assignments.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "switchyard/routing.h"

namespace switchyard::dispatch {

struct Plan {
  // [E + 1]: rows of expert e are [expert_begin[e], expert_begin[e + 1])
  std::vector<std::uint32_t> expert_begin;
  std::vector<std::uint32_t> row_item;  // [A]: the item of each row; ascending inside an expert
  std::vector<float> row_weight;        // [A]: its gate weight
  // [A]: the row of each assignment of the decision, in CSR order
  std::vector<std::uint32_t> assignment_row;
  std::vector<std::int32_t> active;  // experts with at least one row, ascending

  std::size_t rows() const { return row_item.size(); }
};

Plan make_plan(const routing::Decision& decision);
// The same into a Plan whose memory is used again.
void make_plan_into(const routing::Decision& decision, Plan& plan);

// Copies rows: out[r, :] = items[row_item[r], :]. items [N, D], out [A, D].
void gather(const Plan& plan, std::span<const float> items, std::size_t width,
            std::span<float> out);

// out[n, :] = sum over the item's assignments, in CSR order, of weight * expert_rows[row, :]. The
// order is fixed, so the result does not depend on the order in which experts were computed.
// expert_rows [A, D], out [N, D].
void combine(const routing::Decision& decision, const Plan& plan,
             std::span<const float> expert_rows, std::size_t width, std::span<float> out);
// The same for items [begin, end) alone; the other rows of out stay as they are.
void combine(const routing::Decision& decision, const Plan& plan,
             std::span<const float> expert_rows, std::size_t width, std::span<float> out,
             std::size_t begin, std::size_t end);

}  // namespace switchyard::dispatch
