// The slow routers: written for reading, in double, one item and one rule at a time. Every fast
// path is held to them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "switchyard/dispatch.h"
#include "switchyard/routing.h"

namespace switchyard::routing::testing {

struct OracleChoice {
  std::int32_t expert = 0;
  double weight = 0.0;
};

// Per item, best first.
using OracleDecision = std::vector<std::vector<OracleChoice>>;

// For top_k, top_p and expert_choice.
OracleDecision oracle_route(const Config& config, const Inputs& inputs);

// The K largest by sorting everything.
std::vector<std::int32_t> oracle_top_k(std::span<const float> keys, std::size_t k);

// sum over assignments of weight * row, straight from the decision: out [N, D]. row(n, e) gives
// expert e's output for n.
std::vector<float> oracle_combine(const Decision& decision, std::size_t width,
                                  const std::vector<std::vector<float>>& expert_item_rows);

}  // namespace switchyard::routing::testing
