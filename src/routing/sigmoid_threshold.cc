#include "routing/sigmoid_threshold.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "routing/decision_builder.h"
#include "routing/gate_weights.h"
#include "routing/inputs_check.h"
#include "routing/scratch.h"
#include "routing/selection.h"

namespace switchyard::routing {

void route_sigmoid_threshold(const Config& config, const Inputs& inputs, State& /*state*/,
                             Decision& decision) {
  check_logits(config, inputs);
  const auto width = static_cast<std::size_t>(router_width(config));
  const auto most = static_cast<std::size_t>(effective_k(config, inputs));
  const std::size_t least = std::min(most, static_cast<std::size_t>(config.min_experts_per_token));

  Scratch<float> score_memory(width);
  Scratch<std::int32_t> chosen_memory(most);
  Scratch<float> weight_memory(most);
  const auto scores = score_memory.span();
  DecisionBuilder builder(config.experts, inputs.items, most, decision);
  for (std::size_t n = 0; n < inputs.items; ++n) {
    const auto logits = inputs.logits.subspan(n * width, width);
    expert_scores(Score::sigmoid, logits, scores);
    const auto reached = std::ranges::count_if(scores, [&](float s) {
      return config.threshold_inclusive ? s >= config.threshold : s > config.threshold;
    });
    const std::size_t t = std::clamp(static_cast<std::size_t>(reached), least, most);
    const auto chosen = chosen_memory.span().first(t);
    const auto weight = weight_memory.span().first(t);
    // By logit: sigmoids of large logits are equal in fp32, their logits are not.
    select_top_k(logits, chosen);
    gate_weights(config, logits, chosen, weight);
    for (std::size_t j = 0; j < t; ++j) builder.assign(chosen[j], weight[j]);
    builder.end_item();
  }
}

}  // namespace switchyard::routing
