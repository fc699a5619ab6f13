#include "routing/gate_weights.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

namespace switchyard::routing {
namespace {

float sigmoid(float x) { return 1.0F / (1.0F + std::exp(-x)); }

// log(sigmoid(x)), finite for every finite x.
float log_sigmoid(float x) { return std::min(x, 0.0F) - std::log1p(std::exp(-std::abs(x))); }

// values := exp(values) / sum(exp(values)). The sum is kept in double: 1024 experts cost no
// accuracy, and a fixed order gives fixed bits.
void softmax_in_place(std::span<float> values) {
  if (values.empty()) return;
  const float top = *std::ranges::max_element(values);
  double sum = 0.0;
  for (float& value : values) {
    value = std::exp(value - top);
    sum += value;
  }
  for (float& value : values) value = static_cast<float>(value / sum);
}

// `sharing`: how many of them are no null experts.
void apply_gate(Gate gate, std::size_t sharing, std::span<float> weight) {
  switch (gate) {
    case Gate::probability:
      break;
    case Gate::mass: {
      double sum = 0.0;
      for (const float w : weight) sum += w;
      std::ranges::fill(weight, static_cast<float>(sum));
      break;
    }
    case Gate::uniform:
      std::ranges::fill(weight, 1.0F / static_cast<float>(sharing));
      break;
    case Gate::straight_through:
    case Gate::none:
      std::ranges::fill(weight, 1.0F);
      break;
  }
}

}  // namespace

void gate_weights(const Config& config, std::span<const float> logits,
                  std::span<const std::int32_t> chosen, std::span<float> weight) {
  const auto is_null = [&](std::int32_t e) { return e >= config.experts; };
  const auto nulls = static_cast<std::size_t>(std::ranges::count_if(chosen, is_null));
  if (nulls == chosen.size()) {
    std::ranges::fill(weight, 0.0F);
    return;
  }
  const auto clear_nulls = [&] {
    for (std::size_t j = 0; nulls > 0 && j < chosen.size(); ++j) {
      if (is_null(chosen[j])) weight[j] = 0.0F;
    }
  };
  const auto logit = [&](std::size_t j) { return logits[static_cast<std::size_t>(chosen[j])]; };
  if (config.renormalize || config.softmax_after_selection) {
    const bool only_true = nulls > 0 && config.null_weights == NullWeights::true_only;
    for (std::size_t j = 0; j < chosen.size(); ++j) {
      weight[j] = config.score == Score::softmax ? logit(j) : log_sigmoid(logit(j));
      if (only_true && is_null(chosen[j])) weight[j] = -std::numeric_limits<float>::infinity();
    }
    softmax_in_place(weight);
  } else if (config.score == Score::softmax) {
    chosen_probs(logits, chosen, weight);
  } else {
    for (std::size_t j = 0; j < chosen.size(); ++j) weight[j] = sigmoid(logit(j));
  }
  clear_nulls();
  apply_gate(config.gate, chosen.size() - nulls, weight);
  clear_nulls();
  for (float& w : weight) w *= config.scaling_factor;
}

void chosen_probs(std::span<const float> logits, std::span<const std::int32_t> chosen,
                  std::span<float> probs) {
  const float top = *std::ranges::max_element(logits);
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(logit - top);
  for (std::size_t j = 0; j < chosen.size(); ++j) {
    probs[j] =
        static_cast<float>(std::exp(logits[static_cast<std::size_t>(chosen[j])] - top) / sum);
  }
}

void expert_scores(Score score, std::span<const float> logits, std::span<float> scores) {
  if (score == Score::softmax) {
    std::ranges::copy(logits, scores.begin());
    softmax_in_place(scores);
  } else {
    std::ranges::transform(logits, scores.begin(), sigmoid);
  }
}

void expert_probs(Score score, std::span<const float> logits, std::span<float> probs) {
  if (score == Score::softmax) {
    std::ranges::copy(logits, probs.begin());
  } else {
    std::ranges::transform(logits, probs.begin(), log_sigmoid);
  }
  softmax_in_place(probs);
}

}  // namespace switchyard::routing
