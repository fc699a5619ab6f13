#include "routing/testing/oracle.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace switchyard::routing::testing {
namespace {

int k_of(const Config& config, const Inputs& inputs) {
  return inputs.experts_per_token != 0 ? inputs.experts_per_token : config.experts_per_token;
}

std::vector<double> scores_of(Score rule, std::span<const float> logits) {
  std::vector<double> scores;
  scores.reserve(logits.size());
  if (rule == Score::sigmoid) {
    for (const float l : logits) scores.push_back(1.0 / (1.0 + std::exp(-static_cast<double>(l))));
    return scores;
  }
  const double top = *std::ranges::max_element(logits);
  for (const float l : logits) scores.push_back(std::exp(static_cast<double>(l) - top));
  const double sum = std::accumulate(scores.begin(), scores.end(), 0.0);
  for (double& s : scores) s /= sum;
  return scores;
}

// All candidates that may be chosen, best first.
std::vector<std::int32_t> ranking(const Config& config, std::span<const float> logits,
                                  std::span<const float> bias) {
  const auto scores = scores_of(config.score, logits);
  std::vector<float> keys(logits.begin(), logits.end());
  if (config.selection_bias) {
    for (std::size_t e = 0; e < keys.size(); ++e) keys[e] = static_cast<float>(scores[e]) + bias[e];
  }

  // Rank the groups, keep the best.
  const std::size_t members = keys.size() / static_cast<std::size_t>(config.groups);
  std::vector<float> group_key;
  for (std::size_t g = 0; g < static_cast<std::size_t>(config.groups); ++g) {
    std::vector<float> values;
    for (std::size_t e = g * members; e < (g + 1) * members; ++e) {
      const bool by_score = config.group_score == GroupScore::top2_sum && !config.selection_bias;
      values.push_back(by_score ? static_cast<float>(scores[e]) : keys[e]);
    }
    std::ranges::sort(values, std::ranges::greater{});
    const bool two = config.group_score == GroupScore::top2_sum && values.size() > 1;
    group_key.push_back(two ? values[0] + values[1] : values[0]);
  }
  const auto groups = oracle_top_k(group_key, static_cast<std::size_t>(config.groups_per_token));

  std::vector<std::int32_t> order;
  for (const std::int32_t e : oracle_top_k(keys, keys.size())) {
    if (std::ranges::find(groups, e / static_cast<std::int32_t>(members)) != groups.end()) {
      order.push_back(e);
    }
  }
  return order;
}

std::vector<OracleChoice> weigh(const Config& config, std::span<const float> logits,
                                std::vector<std::int32_t> chosen) {
  // Null experts leave before the weights are made, or afterwards with what they would weigh.
  const auto is_null = [&](std::int32_t e) { return e >= config.experts; };
  const bool only_true = config.null_weights == NullWeights::true_only;
  if (only_true) std::erase_if(chosen, is_null);
  // Logits far below the others have probability 0 even in double; what is renormalised is computed
  // from differences.
  std::vector<double> g;
  g.reserve(chosen.size());
  const auto scores = scores_of(config.score, logits);
  for (const std::int32_t e : chosen) g.push_back(scores[static_cast<std::size_t>(e)]);
  if ((config.renormalize || config.softmax_after_selection) && !chosen.empty()) {
    std::vector<double> log_g;
    for (const std::int32_t e : chosen) {
      const double l = logits[static_cast<std::size_t>(e)];
      const double log_sigmoid = l < 0 ? l - std::log1p(std::exp(l)) : -std::log1p(std::exp(-l));
      log_g.push_back(config.score == Score::softmax ? l : log_sigmoid);
    }
    const double top = *std::ranges::max_element(log_g);
    double sum = 0.0;
    for (const double x : log_g) sum += std::exp(x - top);
    for (std::size_t j = 0; j < g.size(); ++j) g[j] = std::exp(log_g[j] - top) / sum;
  }
  for (std::size_t j = chosen.size(); j-- > 0;) {
    if (!is_null(chosen[j])) continue;
    chosen.erase(chosen.begin() + static_cast<std::ptrdiff_t>(j));
    g.erase(g.begin() + static_cast<std::ptrdiff_t>(j));
  }
  if (config.gate == Gate::mass) {
    std::ranges::fill(g, std::accumulate(g.begin(), g.end(), 0.0));
  } else if (config.gate != Gate::probability) {
    std::ranges::fill(g, 1.0);
  }
  std::vector<OracleChoice> choices;
  for (std::size_t j = 0; j < chosen.size(); ++j) {
    choices.push_back({chosen[j], g[j] * static_cast<double>(config.scaling_factor)});
  }
  return choices;
}

OracleDecision oracle_top_k_route(const Config& config, const Inputs& inputs) {
  const auto experts = static_cast<std::size_t>(config.experts);
  const auto width =
      static_cast<std::size_t>(config.experts) + static_cast<std::size_t>(config.null_experts);
  const auto k = static_cast<std::size_t>(k_of(config, inputs));
  const double exact = static_cast<double>(config.capacity_factor) *
                       static_cast<double>(inputs.items * k) / static_cast<double>(experts);
  const auto capacity = config.capacity_factor == 0.0F
                            ? inputs.items
                            : static_cast<std::size_t>(std::ceil(exact * (1 - 1e-6)));
  std::vector<std::size_t> load(experts, 0);
  const auto room = [&](std::int32_t e) { return load[static_cast<std::size_t>(e)] < capacity; };

  OracleDecision decision;
  for (std::size_t n = 0; n < inputs.items; ++n) {
    const auto logits = inputs.logits.subspan(n * width, width);
    auto order = ranking(config, logits, inputs.selection_bias);
    if (config.overflow == Overflow::next_expert) {
      std::erase_if(order, [&](std::int32_t e) { return !room(e); });
    }
    order.resize(std::min(order.size(), k));
    std::vector<OracleChoice> taken;
    for (const OracleChoice& choice : weigh(config, logits, order)) {
      if (!room(choice.expert)) continue;
      ++load[static_cast<std::size_t>(choice.expert)];
      taken.push_back(choice);
    }
    decision.push_back(taken);
  }
  return decision;
}

OracleDecision oracle_top_p_route(const Config& config, const Inputs& inputs) {
  const auto experts = static_cast<std::size_t>(config.experts);
  const auto cap = static_cast<std::size_t>(k_of(config, inputs));
  OracleDecision decision;
  for (std::size_t n = 0; n < inputs.items; ++n) {
    const auto logits = inputs.logits.subspan(n * experts, experts);
    const auto probs = scores_of(Score::softmax, logits);
    std::vector<std::int32_t> taken;
    double sum = 0.0;
    for (const std::int32_t e : oracle_top_k(logits, experts)) {
      const bool enough =
          config.threshold_inclusive ? sum >= config.threshold : sum > config.threshold;
      const bool least =
          taken.size() >= static_cast<std::size_t>(std::max(1, config.min_experts_per_token));
      if ((enough && config.threshold < 1.0F && least) || taken.size() == cap) break;
      taken.push_back(e);
      sum += probs[static_cast<std::size_t>(e)];
    }
    decision.push_back(weigh(config, logits, taken));
  }
  return decision;
}

OracleDecision oracle_sigmoid_threshold(const Config& config, const Inputs& inputs) {
  const auto experts = static_cast<std::size_t>(config.experts);
  const auto cap = static_cast<std::size_t>(k_of(config, inputs));
  OracleDecision decision;
  for (std::size_t n = 0; n < inputs.items; ++n) {
    const auto logits = inputs.logits.subspan(n * experts, experts);
    const auto scores = scores_of(Score::sigmoid, logits);
    std::vector<std::int32_t> taken;
    for (const std::int32_t e : oracle_top_k(logits, experts)) {
      const auto score = static_cast<float>(scores[static_cast<std::size_t>(e)]);
      const bool reached =
          config.threshold_inclusive ? score >= config.threshold : score > config.threshold;
      const bool needed = taken.size() < static_cast<std::size_t>(config.min_experts_per_token);
      if (taken.size() < cap && (reached || needed)) taken.push_back(e);
    }
    decision.push_back(weigh(config, logits, taken));
  }
  return decision;
}

OracleDecision oracle_expert_choice(const Config& config, const Inputs& inputs) {
  const auto experts = static_cast<std::size_t>(config.experts);
  const auto k = static_cast<std::size_t>(config.experts_per_token);
  std::vector<std::vector<std::int32_t>> taken_by(inputs.items);
  const std::size_t per_expert = std::min(inputs.items, (inputs.items * k + experts - 1) / experts);
  for (std::size_t e = 0; e < experts; ++e) {
    std::vector<float> column;
    for (std::size_t n = 0; n < inputs.items; ++n) {
      const auto row = inputs.logits.subspan(n * experts, experts);
      column.push_back(static_cast<float>(scores_of(config.score, row)[e]));
    }
    for (const std::int32_t n : oracle_top_k(column, per_expert)) {
      taken_by[static_cast<std::size_t>(n)].push_back(static_cast<std::int32_t>(e));
    }
  }
  OracleDecision decision;
  for (std::size_t n = 0; n < inputs.items; ++n) {
    const auto logits = inputs.logits.subspan(n * experts, experts);
    std::vector<std::int32_t> chosen;
    for (const std::int32_t e : oracle_top_k(logits, experts)) {
      if (std::ranges::find(taken_by[n], e) != taken_by[n].end()) chosen.push_back(e);
    }
    decision.push_back(weigh(config, logits, chosen));
  }
  return decision;
}

}  // namespace

OracleDecision oracle_route(const Config& config, const Inputs& given) {
  Inputs inputs = given;
  std::vector<float> scaled(given.logits.begin(), given.logits.end());
  for (float& logit : scaled) logit *= config.inverse_temperature;
  inputs.logits = scaled;
  if (config.kind == Kind::top_p) return oracle_top_p_route(config, inputs);
  if (config.kind == Kind::sigmoid_threshold) return oracle_sigmoid_threshold(config, inputs);
  return config.kind == Kind::expert_choice ? oracle_expert_choice(config, inputs)
                                            : oracle_top_k_route(config, inputs);
}

std::vector<std::int32_t> oracle_top_k(std::span<const float> keys, std::size_t k) {
  std::vector<std::int32_t> order(keys.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](std::int32_t a, std::int32_t b) {
    return keys[static_cast<std::size_t>(a)] > keys[static_cast<std::size_t>(b)];
  });
  order.resize(k);
  return order;
}

std::vector<float> oracle_combine(const Decision& decision, std::size_t width,
                                  const std::vector<std::vector<float>>& expert_item_rows) {
  std::vector<float> out(decision.items() * width, 0.0F);
  const auto experts = static_cast<std::size_t>(decision.experts);
  for (std::size_t n = 0; n < decision.items(); ++n) {
    for (std::uint32_t a = decision.offsets[n]; a < decision.offsets[n + 1]; ++a) {
      const auto& row =
          expert_item_rows[n * experts + static_cast<std::size_t>(decision.expert[a])];
      for (std::size_t d = 0; d < width; ++d) out[n * width + d] += decision.weight[a] * row[d];
    }
  }
  return out;
}

}  // namespace switchyard::routing::testing
