#include "routing/top_p.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "routing/decision_builder.h"
#include "routing/gate_weights.h"
#include "routing/inputs_check.h"
#include "routing/scratch.h"
#include "routing/selection.h"

namespace switchyard::routing {
namespace {

// t before min_experts_per_token. probs: the best experts' probabilities, sorted; as many as may be
// taken.
std::size_t experts_to_threshold(const Config& config, std::span<const float> probs) {
  if (config.threshold >= 1.0F) return probs.size();  // rounding must not decide about all of them
  double sum = 0.0;
  for (std::size_t j = 0; j < probs.size(); ++j) {
    sum += probs[j];
    const auto reached = static_cast<float>(sum);
    if (config.threshold_inclusive ? reached >= config.threshold : reached > config.threshold) {
      return j + 1;
    }
  }
  return probs.size();
}

}  // namespace

int top_p_limit(const Config& config, int cap) {
  const int most = std::min(cap, config.experts);
  // One more than the bound: sums of fp32 probabilities may fall short of it by a rounding error.
  const double bound = std::ceil(static_cast<double>(config.threshold) * config.experts) + 1.0;
  return std::clamp(static_cast<int>(bound), std::min(config.min_experts_per_token, most), most);
}

void route_top_p(const Config& config, const Inputs& inputs, State& /*state*/, Decision& decision) {
  check_logits(config, inputs);
  const auto width = static_cast<std::size_t>(router_width(config));
  const auto limit = static_cast<std::size_t>(top_p_limit(config, effective_k(config, inputs)));
  const std::size_t least = std::min(limit, static_cast<std::size_t>(config.min_experts_per_token));

  Scratch<std::int32_t> chosen_memory(limit);
  Scratch<float> prob_memory(limit);
  Scratch<float> weight_memory(limit);
  const auto best = chosen_memory.span();
  const auto probs = prob_memory.span();
  DecisionBuilder builder(config.experts, inputs.items, limit, decision);
  for (std::size_t n = 0; n < inputs.items; ++n) {
    const auto logits = inputs.logits.subspan(n * width, width);
    select_top_k(logits, best);
    chosen_probs(logits, best, probs);
    const std::size_t t = std::max(least, experts_to_threshold(config, probs));
    const auto weight = weight_memory.span().first(t);
    gate_weights(config, logits, best.first(t), weight);
    for (std::size_t j = 0; j < t; ++j) builder.assign(best[j], weight[j]);
    builder.end_item();
  }
}

}  // namespace switchyard::routing
