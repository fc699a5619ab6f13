#include "routing/losses.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "base/check.h"
#include "routing/gate_weights.h"
#include "routing/top_k.h"

namespace switchyard::routing {
namespace {

// Every choice, or each item's first.
std::vector<double> count_choices(const Decision& decision, bool first_only) {
  std::vector<double> counts(static_cast<std::size_t>(decision.experts), 0.0);
  for (std::size_t n = 0; n < decision.items(); ++n) {
    const std::uint32_t begin = decision.offsets[n];
    std::uint32_t end = decision.offsets[n + 1];
    if (first_only) end = std::min(end, begin + 1);
    for (std::uint32_t a = begin; a < end; ++a) {
      ++counts[static_cast<std::size_t>(decision.expert[a])];
    }
  }
  return counts;
}

// What the balance loss counts, [R].
std::vector<double> balanced_choices(const Config& config, std::span<const float> logits,
                                     const Decision& decision) {
  const bool first_only = config.losses.balance == LossConfig::Balance::gshard;
  if (config.null_experts == 0) return count_choices(decision, first_only);
  // The decision says how many null experts were chosen, not which.
  State state;
  auto counts = count_choices(
      route(listing_nulls(config), {.logits = logits, .items = decision.items()}, state),
      first_only);
  if (config.losses.null_balance == LossConfig::NullBalance::averaged) {
    const auto nulls = std::span(counts).subspan(static_cast<std::size_t>(config.experts));
    const double mean =
        std::accumulate(nulls.begin(), nulls.end(), 0.0) / static_cast<double>(nulls.size());
    std::ranges::fill(nulls, mean);
  }
  return counts;
}

}  // namespace

double balance_loss(std::span<const float> probs, std::span<const double> chosen, std::size_t items,
                    LossConfig::Fraction fraction) {
  const std::size_t experts = chosen.size();
  SWITCHYARD_CHECK(probs.size() == items * experts);
  const double choices = std::accumulate(chosen.begin(), chosen.end(), 0.0);
  if (items == 0 || choices == 0.0) return 0.0;

  std::vector<double> mean(experts, 0.0);
  for (std::size_t i = 0; i < probs.size(); ++i) mean[i % experts] += probs[i];
  double sum = 0.0;
  for (std::size_t e = 0; e < experts; ++e) {
    sum += chosen[e] * (mean[e] / static_cast<double>(items));
  }
  const bool per_item = fraction == LossConfig::Fraction::per_item;
  const double divisor = per_item ? static_cast<double>(items) : choices;
  return static_cast<double>(experts) * sum / divisor;
}

double entropy_loss(std::span<const float> probs, std::size_t items) {
  if (items == 0) return 0.0;
  double total = 0.0;
  for (const float p : probs) {
    if (p > 0.0F) total -= static_cast<double>(p) * std::log(static_cast<double>(p));
  }
  return total / static_cast<double>(items);
}

double z_loss(std::span<const float> logits, std::size_t items) {
  if (items == 0) return 0.0;
  SWITCHYARD_CHECK(logits.size() % items == 0);
  const std::size_t experts = logits.size() / items;
  double total = 0.0;
  for (std::size_t n = 0; n < items; ++n) {
    const auto row = logits.subspan(n * experts, experts);
    const double top = *std::ranges::max_element(row);
    double sum = 0.0;
    for (const float logit : row) sum += std::exp(static_cast<double>(logit) - top);
    const double log_sum = top + std::log(sum);
    total += log_sum * log_sum;
  }
  return total / static_cast<double>(items);
}

double importance_loss(std::span<const double> importance) {
  const auto experts = static_cast<double>(importance.size());
  const double mean = std::accumulate(importance.begin(), importance.end(), 0.0) / experts;
  if (mean == 0.0) return 0.0;
  double variance = 0.0;
  for (const double value : importance) variance += (value - mean) * (value - mean);
  return variance / experts / (mean * mean);
}

LossTerms router_losses(const Config& config, std::span<const float> logits,
                        const Decision& decision) {
  SWITCHYARD_CHECK(config.gate == Gate::probability && decision.dropped == 0);
  const auto probs = router_probs(config.score, logits, decision.items());

  std::vector<double> importance(static_cast<std::size_t>(config.experts), 0.0);
  for (std::size_t a = 0; a < decision.assignments(); ++a) {
    importance[static_cast<std::size_t>(decision.expert[a])] +=
        static_cast<double>(decision.weight[a]) / static_cast<double>(config.scaling_factor);
  }
  return {.balance = balance_loss(probs, balanced_choices(config, logits, decision),
                                  decision.items(), config.losses.fraction),
          .z = z_loss(logits, decision.items()),
          .importance = importance_loss(importance),
          .entropy = entropy_loss(probs, decision.items())};
}

std::vector<float> router_probs(Score score, std::span<const float> logits, std::size_t items) {
  std::vector<float> probs(logits.size());
  if (items == 0) return probs;
  SWITCHYARD_CHECK(logits.size() % items == 0);
  const std::size_t experts = logits.size() / items;
  for (std::size_t n = 0; n < items; ++n) {
    expert_probs(score, logits.subspan(n * experts, experts),
                 std::span(probs).subspan(n * experts, experts));
  }
  return probs;
}

}  // namespace switchyard::routing
