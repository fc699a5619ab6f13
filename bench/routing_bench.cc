// Time per token of routing (the counter per_token), per layer: what a decode step pays before any
// expert runs.
//
//   routing_bench --benchmark_filter=route
//
// Arguments of a case: E experts, K experts per token, N tokens in the call (1 is decode, 512 a
// prompt). Every case checks its last decision against the slow oracle, so a wrong answer has no
// time.
#include <algorithm>
#include <benchmark/benchmark.h>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "switchyard/dispatch.h"
#include "switchyard/routing.h"

#include "routing/selection.h"
#include "routing/testing/cases.h"
#include "routing/testing/oracle.h"

namespace switchyard::routing {
namespace {

// Calls see different tokens, as in decoding: a branch predictor must not learn one row by heart.
constexpr std::size_t kTokens = 512;

void count_tokens(benchmark::State& state, std::size_t tokens) {
  state.counters["per_token"] =
      benchmark::Counter(static_cast<double>(tokens) * static_cast<double>(state.iterations()),
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

bool equals_oracle(const Config& config, const Inputs& inputs, const Decision& decision) {
  const auto want = testing::oracle_route(config, inputs);
  for (std::size_t n = 0; n < want.size(); ++n) {
    if (decision.offsets[n + 1] - decision.offsets[n] != want[n].size()) return false;
    for (std::size_t j = 0; j < want[n].size(); ++j) {
      const std::size_t a = decision.offsets[n] + j;
      const double error = std::abs(decision.weight[a] - want[n][j].weight);
      if (decision.expert[a] != want[n][j].expert || error > 1e-6 * config.scaling_factor) {
        return false;
      }
    }
  }
  return true;
}

void route_case(benchmark::State& state, Config config) {
  config.experts = static_cast<int>(state.range(0));
  config.experts_per_token = static_cast<int>(state.range(1));
  const auto experts = static_cast<std::size_t>(config.experts);
  const auto items = static_cast<std::size_t>(state.range(2));
  const auto logits = testing::random_logits(kTokens, experts, 1, 2.0F);
  const auto bias = testing::random_logits(1, experts, 2, 0.1F);

  Inputs inputs{.items = items};
  if (config.selection_bias) inputs.selection_bias = bias;
  State routing_state;
  Decision decision;
  std::size_t token = 0;
  for (auto _ : state) {
    inputs.logits = std::span(logits).subspan(token * experts, items * experts);
    route_into(config, inputs, routing_state, decision);
    benchmark::DoNotOptimize(decision.weight.data());
    token = (token + items) % kTokens;
  }
  if (!equals_oracle(config, inputs, decision)) state.SkipWithError("differs from the oracle");
  count_tokens(state, items);
}

void select_case(benchmark::State& state) {
  const auto experts = static_cast<std::size_t>(state.range(0));
  const auto logits = testing::random_logits(kTokens, experts, 1);
  std::vector<std::int32_t> chosen(static_cast<std::size_t>(state.range(1)));
  std::span<const float> row;
  std::size_t token = 0;
  for (auto _ : state) {
    row = std::span(logits).subspan(token * experts, experts);
    select_top_k(row, chosen);
    benchmark::DoNotOptimize(chosen.data());
    token = (token + 1) % kTokens;
  }
  if (chosen != testing::oracle_top_k(row, chosen.size())) {
    state.SkipWithError("differs from the oracle");
  }
  count_tokens(state, 1);
}

// What one would write without thinking about it, for comparison.
void partial_sort_case(benchmark::State& state) {
  const auto experts = static_cast<std::size_t>(state.range(0));
  const auto logits = testing::random_logits(kTokens, experts, 1);
  std::vector<std::int32_t> order(experts);
  std::size_t token = 0;
  for (auto _ : state) {
    const float* const row = &logits[token * experts];
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + state.range(1), order.end(),
                      [row](std::int32_t a, std::int32_t b) {
                        return row[a] > row[b] || (row[a] == row[b] && a < b);
                      });
    benchmark::DoNotOptimize(order.data());
    token = (token + 1) % kTokens;
  }
  count_tokens(state, 1);
}

void plan_case(benchmark::State& state) {
  const Config config{.experts = static_cast<int>(state.range(0)),
                      .experts_per_token = static_cast<int>(state.range(1))};
  const auto items = static_cast<std::size_t>(state.range(2));
  const auto logits = testing::random_logits(items, static_cast<std::size_t>(config.experts), 1);
  State routing_state;
  const Decision decision = route(config, {.logits = logits, .items = items}, routing_state);
  dispatch::Plan plan;
  for (auto _ : state) {
    dispatch::make_plan_into(decision, plan);
    benchmark::DoNotOptimize(plan.row_item.data());
  }
  for (std::size_t r = 0; r < plan.rows(); ++r) {
    const std::uint32_t begin = decision.offsets[plan.row_item[r]];
    const std::uint32_t end = decision.offsets[plan.row_item[r] + 1];
    const auto e = std::ranges::upper_bound(plan.expert_begin, r) - plan.expert_begin.begin() - 1;
    if (std::find(&decision.expert[begin], decision.expert.data() + end, e) ==
        decision.expert.data() + end) {
      state.SkipWithError("a row stands under an expert its item did not choose");
    }
  }
  count_tokens(state, items);
}

void every_shape(benchmark::internal::Benchmark* bench) {
  for (const std::int64_t items : {1, 512}) {
    for (const std::int64_t experts : {8, 64, 256}) {
      for (const std::int64_t k : {2, 8}) bench->Args({experts, k, items});
    }
  }
}

BENCHMARK_CAPTURE(route_case, renormalised, Config{})->Apply(every_shape);
BENCHMARK_CAPTURE(route_case, softmax_over_all, Config{.renormalize = false})->Apply(every_shape);
BENCHMARK_CAPTURE(route_case, sigmoid_bias_groups,
                  Config{.score = Score::sigmoid,
                         .scaling_factor = 2.5F,
                         .selection_bias = true,
                         .groups = 8,
                         .groups_per_token = 4})
    ->Args({256, 8, 1})
    ->Args({256, 8, 512});
BENCHMARK(select_case)->ArgsProduct({{8, 64, 256, 1024}, {2, 8}})->Args({1024, 64});
BENCHMARK(partial_sort_case)->ArgsProduct({{8, 64, 256, 1024}, {2, 8}})->Args({1024, 64});
BENCHMARK(plan_case)->Apply(every_shape);

}  // namespace
}  // namespace switchyard::routing
