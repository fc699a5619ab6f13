// Router logits and configurations that tests and benchmarks share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "switchyard/routing.h"

namespace switchyard::routing::testing {

// [items, experts] normal numbers times `scale`, the same for the same seed.
std::vector<float> random_logits(std::size_t items, std::size_t experts, std::uint64_t seed,
                                 float scale = 1.0F);

struct LogitsCase {
  std::string name;
  std::vector<float> logits;  // [items, experts]
};

// Rows on which routers go wrong: ties of every kind, huge and denormal numbers, signed zeros,
// ascending and descending order. All finite.
std::vector<LogitsCase> adversarial_logits(std::size_t items, std::size_t experts);

struct ConfigCase {
  std::string name;
  Config config;
};

// Every known variant of top-k over `experts` (a multiple of 4, at least 8), of top-p, and of
// expert choice.
std::vector<ConfigCase> top_k_variants(int experts, int k);
std::vector<ConfigCase> top_p_variants(int experts);
std::vector<ConfigCase> sigmoid_threshold_variants(int experts);
std::vector<ConfigCase> expert_choice_variants(int experts, int k);
// Routers whose logits are made by more than one matrix: the state of a cell, a hidden layer. They
// choose as top-k does.
std::vector<ConfigCase> recurrent_variants(int experts, int k);
// Top-k with null experts: fewer than, as many as and more than experts; K up to all outputs. The
// logits of a case have router_width() columns.
std::vector<ConfigCase> null_expert_variants(int experts);

}  // namespace switchyard::routing::testing
