#include "switchyard/dispatch.h"

#include <algorithm>
#include <cstddef>

#include "base/check.h"

namespace switchyard::dispatch {

void make_plan_into(const routing::Decision& decision, Plan& plan) {
  const auto experts = static_cast<std::size_t>(decision.experts);
  const std::size_t rows = decision.assignments();
  SWITCHYARD_CHECK(decision.weight.size() == rows);
  SWITCHYARD_CHECK(decision.offsets.empty() ? rows == 0 : decision.offsets.back() == rows);

  // Histogram. Counted here, not taken from decision.counts: a forced route made by hand may leave
  // those out.
  plan.expert_begin.assign(experts + 1, 0);
  for (const std::int32_t e : decision.expert) {
    SWITCHYARD_CHECK(e >= 0 && static_cast<std::size_t>(e) < experts);
    ++plan.expert_begin[static_cast<std::size_t>(e) + 1];
  }
  // Prefix sum.
  plan.active.clear();
  for (std::size_t e = 0; e < experts; ++e) {
    if (plan.expert_begin[e + 1] != 0) plan.active.push_back(static_cast<std::int32_t>(e));
    plan.expert_begin[e + 1] += plan.expert_begin[e];
  }
  // Stable permutation. expert_begin[e] serves as the next free row of e and ends one expert
  // further on, which the shift below undoes: no second array.
  plan.row_item.resize(rows);
  plan.row_weight.resize(rows);
  plan.assignment_row.resize(rows);
  for (std::size_t n = 0; n < decision.items(); ++n) {
    for (std::uint32_t a = decision.offsets[n]; a < decision.offsets[n + 1]; ++a) {
      const std::uint32_t row = plan.expert_begin[static_cast<std::size_t>(decision.expert[a])]++;
      plan.row_item[row] = static_cast<std::uint32_t>(n);
      plan.row_weight[row] = decision.weight[a];
      plan.assignment_row[a] = row;
    }
  }
  std::copy_backward(plan.expert_begin.begin(), plan.expert_begin.end() - 1,
                     plan.expert_begin.end());
  plan.expert_begin[0] = 0;
}

Plan make_plan(const routing::Decision& decision) {
  Plan plan;
  make_plan_into(decision, plan);
  return plan;
}

void gather(const Plan& plan, std::span<const float> items, std::size_t width,
            std::span<float> out) {
  SWITCHYARD_CHECK(out.size() == plan.rows() * width);
  for (std::size_t r = 0; r < plan.rows(); ++r) {
    const std::size_t begin = static_cast<std::size_t>(plan.row_item[r]) * width;
    SWITCHYARD_CHECK(begin + width <= items.size());
    std::copy_n(items.data() + begin, width, out.data() + r * width);
  }
}

void combine(const routing::Decision& decision, const Plan& plan,
             std::span<const float> expert_rows, std::size_t width, std::span<float> out) {
  combine(decision, plan, expert_rows, width, out, 0, decision.items());
}

void combine(const routing::Decision& decision, const Plan& plan,
             std::span<const float> expert_rows, std::size_t width, std::span<float> out,
             std::size_t begin, std::size_t end) {
  SWITCHYARD_CHECK(expert_rows.size() == plan.rows() * width);
  SWITCHYARD_CHECK(out.size() == decision.items() * width);
  SWITCHYARD_CHECK(plan.assignment_row.size() == decision.assignments());
  SWITCHYARD_CHECK(begin <= end && end <= decision.items());
  for (std::size_t n = begin; n < end; ++n) {
    float* const y = out.data() + n * width;
    std::fill_n(y, width, 0.0F);
    for (std::uint32_t a = decision.offsets[n]; a < decision.offsets[n + 1]; ++a) {
      const float weight = decision.weight[a];
      const float* const row =
          expert_rows.data() + static_cast<std::size_t>(plan.assignment_row[a]) * width;
      for (std::size_t d = 0; d < width; ++d) y[d] += weight * row[d];
    }
  }
}

}  // namespace switchyard::dispatch
