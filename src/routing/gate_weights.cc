#include "routing/gate_weights.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

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

void softmax_of_chosen(std::span<const float> logits, std::span<const std::int32_t> chosen,
                       std::span<float> weight) {
  const float top = *std::ranges::max_element(logits);
  double sum = 0.0;
  for (const float logit : logits) sum += std::exp(logit - top);
  for (std::size_t j = 0; j < chosen.size(); ++j) {
    weight[j] =
        static_cast<float>(std::exp(logits[static_cast<std::size_t>(chosen[j])] - top) / sum);
  }
}

void apply_gate(Gate gate, std::span<float> weight) {
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
      std::ranges::fill(weight, 1.0F / static_cast<float>(weight.size()));
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
  if (chosen.empty()) return;
  const bool normal = config.renormalize || config.softmax_after_selection;
  const auto logit = [&](std::size_t j) { return logits[static_cast<std::size_t>(chosen[j])]; };
  if (config.score == Score::softmax) {
    if (normal) {
      for (std::size_t j = 0; j < chosen.size(); ++j) weight[j] = logit(j);
      softmax_in_place(weight);
    } else {
      softmax_of_chosen(logits, chosen, weight);
    }
  } else if (normal) {
    for (std::size_t j = 0; j < chosen.size(); ++j) weight[j] = log_sigmoid(logit(j));
    softmax_in_place(weight);
  } else {
    for (std::size_t j = 0; j < chosen.size(); ++j) weight[j] = sigmoid(logit(j));
  }
  apply_gate(config.gate, weight);
  for (float& w : weight) w *= config.scaling_factor;
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
