#include "routing/expert_choice.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "routing/decision_builder.h"
#include "routing/gate_weights.h"
#include "routing/inputs_check.h"
#include "routing/selection.h"

namespace switchyard::routing {
namespace {

// takes[n * E + e] != 0: expert e takes item n.
std::vector<std::uint8_t> choose_items(const Config& config, const Inputs& inputs, std::size_t k) {
  const auto experts = static_cast<std::size_t>(config.experts);
  const std::size_t items = inputs.items;
  const std::size_t per_expert = std::min(items, (items * k + experts - 1) / experts);

  std::vector<float> score(items * experts);  // [E, N]: an expert's candidates lie together
  std::vector<float> row(experts);
  for (std::size_t n = 0; n < items; ++n) {
    expert_scores(config.score, inputs.logits.subspan(n * experts, experts), row);
    for (std::size_t e = 0; e < experts; ++e) score[e * items + n] = row[e];
  }

  std::vector<std::uint8_t> takes(items * experts, 0);
  std::vector<std::int32_t> chosen(per_expert);
  for (std::size_t e = 0; e < experts; ++e) {
    select_top_k(std::span(score).subspan(e * items, items), chosen);
    for (const std::int32_t n : chosen) takes[static_cast<std::size_t>(n) * experts + e] = 1;
  }
  return takes;
}

}  // namespace

void route_expert_choice(const Config& config, const Inputs& inputs, State& /*state*/,
                         Decision& decision) {
  check_logits(config, inputs);
  const auto experts = static_cast<std::size_t>(config.experts);
  const auto takes =
      choose_items(config, inputs, static_cast<std::size_t>(effective_k(config, inputs)));

  std::vector<std::int32_t> chosen;
  std::vector<float> weight(experts);
  DecisionBuilder builder(config.experts, inputs.items, experts, decision);
  for (std::size_t n = 0; n < inputs.items; ++n) {
    const auto logits = inputs.logits.subspan(n * experts, experts);
    chosen.clear();
    for (std::size_t e = 0; e < experts; ++e) {
      if (takes[n * experts + e] != 0) chosen.push_back(static_cast<std::int32_t>(e));
    }
    // Best first; experts are already in ascending order, which a stable sort keeps for ties.
    std::ranges::stable_sort(chosen, std::ranges::greater{},
                             [&](std::int32_t e) { return logits[static_cast<std::size_t>(e)]; });
    const auto weights = std::span(weight).first(chosen.size());
    gate_weights(config, logits, chosen, weights);
    for (std::size_t j = 0; j < chosen.size(); ++j) builder.assign(chosen[j], weights[j]);
    builder.end_item();
  }
}

}  // namespace switchyard::routing
