// What a Config means and whether it holds together.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "switchyard/error.h"
#include "switchyard/routing.h"

#include "routing/closest_name.h"
#include "routing/knobs.h"
#include "routing/top_p.h"

namespace switchyard::routing {
namespace {

// More than any model has, and few enough that N * E stays far from overflow.
constexpr int kMaxExperts = 1 << 16;
constexpr int kMaxRouterHidden = 1 << 16;

std::string text(const char* value) { return value; }
template <typename T>
std::string text(T value) {
  return std::to_string(value);
}

// Collects the place once, so that a rule below is one line. Text is made only for a rule that is
// broken: route() validates at every call.
class Rules {
 public:
  explicit Rules(const std::string& where) : where_(where) {}

  void range(const char* knob, int value, int low, int high, const char* fix = "") const {
    if (value >= low && value <= high) return;
    fail(knob, text(value), text(low) + " to " + text(high), fix);
  }
  template <typename T>
  void require(bool holds, const char* knob, T value, const char* expected,
               const char* fix = "") const {
    if (!holds) fail(knob, text(value), expected, fix);
  }
  void coefficient(const char* knob, float value) const {
    require(std::isfinite(value) && value >= 0.0F, knob, value, "a finite number, 0 or more");
  }

 private:
  [[noreturn]] void fail(const char* knob, const std::string& value, const std::string& expected,
                         const char* fix) const {
    throw Error({.what = std::string("router knob '") + knob + "' is " + value,
                 .where = where_,
                 .expected = expected,
                 .fix = fix});
  }

  const std::string& where_;
};

// A knob that the kind does not read would be a setting without effect.
void check_unused(const Config& config, const std::string& where) {
  const Method& m = method(config.kind);
  const Config normal = default_config(config.kind);
  for (const Knob& knob : knobs()) {
    if (knob.name == "kind" || knob.name == "experts" || knob.name == "experts_per_token") continue;
    if (knob.is_default(config, normal) || std::ranges::find(m.knobs, knob.name) != m.knobs.end())
      continue;
    throw Error({.what = "router knob '" + std::string(knob.name) + "' has no effect with kind '" +
                         std::string(m.name) + "'",
                 .where = where,
                 .expected = m.knobs.empty() ? "no further knobs"
                                             : "at most the knobs " + join_names(m.knobs),
                 .fix = "remove it"});
  }
}

void check_scores(const Config& config, const Rules& rules) {
  rules.require(!(config.softmax_after_selection && config.score == Score::sigmoid),
                "softmax_after_selection", "true", "false with score 'sigmoid'");
  rules.require(std::isfinite(config.scaling_factor) && config.scaling_factor > 0.0F,
                "scaling_factor", config.scaling_factor, "a finite number above 0");
  const bool normal = config.renormalize || config.softmax_after_selection;
  rules.require(!(config.gate == Gate::mass && normal), "gate", "mass",
                "another gate with weights that sum to 1",
                "set renormalize to false, or the mass is always 1");
}

void check_groups(const Config& config, const Rules& rules) {
  rules.range("groups", config.groups, 1, config.experts);
  rules.require(config.experts % config.groups == 0, "groups", config.groups,
                "a divisor of experts");
  rules.range("groups_per_token", config.groups_per_token, 1, config.groups);
  const int reachable =
      config.experts / config.groups * config.groups_per_token + config.null_experts;
  rules.range("experts_per_token", config.experts_per_token, 1, reachable,
              "choose more groups or fewer experts");
}

void check_capacity(const Config& config, const Rules& rules) {
  rules.coefficient("capacity_factor", config.capacity_factor);
  rules.require(config.overflow == Overflow::drop || config.capacity_factor > 0.0F, "overflow",
                "next_expert", "a capacity_factor above 0 with it");
}

void check_threshold(const Config& config, const Rules& rules) {
  rules.require(config.threshold > 0.0F && config.threshold <= 1.0F, "threshold", config.threshold,
                "above 0 and at most 1");
  const bool may_be_none = config.kind == Kind::sigmoid_threshold;
  if (config.kind != Kind::top_p && !may_be_none) return;
  rules.range("min_experts_per_token", config.min_experts_per_token, may_be_none ? 0 : 1,
              config.experts_per_token);
  rules.require(!may_be_none || config.score == Score::sigmoid, "score", "softmax", "sigmoid");
}

void check_null_experts(const Config& config, const Rules& rules) {
  rules.range("null_experts", config.null_experts, 0, kMaxExperts - config.experts);
  const bool normal = config.renormalize || config.softmax_after_selection;
  rules.require(
      config.null_weights == NullWeights::true_only || (config.null_experts > 0 && normal),
      "null_weights", "all_selected", "true_only without null experts or renormalize");
  rules.require(
      config.losses.null_balance == LossConfig::NullBalance::averaged || config.null_experts > 0,
      "losses.null_balance", "individual", "averaged without null experts");
  if (config.null_experts == 0) return;
  // What these mean for an output that computes nothing is nowhere defined.
  rules.require(config.groups == 1, "groups", config.groups, "1 with null experts");
  rules.require(config.capacity_factor == 0.0F, "capacity_factor", config.capacity_factor,
                "0 with null experts");
  rules.require(!config.selection_bias, "selection_bias", "true", "false with null experts");
}

bool is_share(float value) { return value >= 0.0F && value <= 1.0F; }  // false for NaN

void check_probabilities(const Config& config, const Rules& rules) {
  const auto& shares = config.probabilities;
  if (shares.empty()) return;
  const auto experts = static_cast<std::size_t>(config.experts);
  rules.require(config.experts_per_token == 1, "experts_per_token", config.experts_per_token,
                "1 with probabilities");
  rules.require(shares.size() == experts || shares.size() == experts + 1,
                "probabilities (their number)", shares.size(),
                "one for each expert, and perhaps a last one for doing nothing");
  for (const float share : shares) rules.require(is_share(share), "probabilities", share, "0 to 1");
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  rules.require(std::abs(sum - 1.0) <= 1e-4, "probabilities (their sum)", sum, "1");
}

void check_soft_training(const Config& config, const Rules& rules) {
  rules.require(std::isfinite(config.inverse_temperature) && config.inverse_temperature > 0.0F,
                "inverse_temperature", config.inverse_temperature, "a finite number above 0");
  if (!config.soft_training) return;
  rules.require(config.groups_per_token == config.groups, "groups_per_token",
                config.groups_per_token, "all groups with soft_training, which takes all experts");
  rules.require(config.capacity_factor == 0.0F, "capacity_factor", config.capacity_factor,
                "0 with soft_training, which takes all experts");
}

void check_budget(const Config& config, const Rules& rules) {
  const LossConfig& losses = config.losses;
  rules.coefficient("losses.budget_coefficient", losses.budget_coefficient);
  rules.require(losses.budget_coefficient == 0.0F || !losses.budget.empty(), "losses.budget",
                "empty", "the share of each output, with a budget_coefficient above 0");
  rules.range("losses.budget (its length)", static_cast<int>(losses.budget.size()), 0,
              config.experts + config.null_experts);
  for (const float share : losses.budget) {
    rules.require(is_share(share), "losses.budget", share, "0 to 1");
  }
  const double sum = std::accumulate(losses.budget.begin(), losses.budget.end(), 0.0);
  rules.require(sum <= 1.0 + 1e-4, "losses.budget (its sum)", sum, "at most 1");
  rules.require(
      losses.budget_scope == LossConfig::BudgetScope::sequence || losses.budget_coefficient > 0.0F,
      "losses.budget_scope", "set", "a budget_coefficient above 0 with it");
}

void check_hidden(const Config& config, const Rules& rules) {
  rules.range("router_hidden", config.router_hidden, config.kind == Kind::recurrent ? 1 : 0,
              kMaxRouterHidden);
}

void check_losses(const Config& config, const Rules& rules) {
  rules.coefficient("losses.balance_coefficient", config.losses.balance_coefficient);
  rules.coefficient("losses.z_coefficient", config.losses.z_coefficient);
  rules.coefficient("losses.importance_coefficient", config.losses.importance_coefficient);
  rules.coefficient("losses.entropy_coefficient", config.losses.entropy_coefficient);
  rules.require(config.kind != Kind::expert_choice || config.losses.balance_coefficient == 0.0F,
                "losses.balance_coefficient", config.losses.balance_coefficient,
                "0 with kind 'expert_choice', whose load is always balanced");
}

}  // namespace

void validate_at(const Config& config, const std::string& where) {
  const Rules rules(where);
  check_unused(config, where);
  rules.range("experts", config.experts, 1, kMaxExperts);
  check_null_experts(config, rules);
  rules.range("experts_per_token", config.experts_per_token, 1,
              config.experts + config.null_experts);
  check_scores(config, rules);
  check_groups(config, rules);
  check_capacity(config, rules);
  check_threshold(config, rules);
  check_hidden(config, rules);
  check_losses(config, rules);
  check_probabilities(config, rules);
  check_soft_training(config, rules);
  check_budget(config, rules);
}

Config default_config(Kind kind) {
  Config config;
  config.kind = kind;
  if (kind == Kind::top_p) {
    config.renormalize = false;
    config.losses.fraction = LossConfig::Fraction::per_item;
  }
  if (kind == Kind::sigmoid_threshold) {
    config.score = Score::sigmoid;
    config.threshold = 0.5F;
    config.renormalize = false;
    config.losses.fraction = LossConfig::Fraction::per_item;
  }
  if (kind == Kind::recurrent) config.router_hidden = 128;
  return config;
}

int most_experts_per_item(const Config& config) {
  const int k = std::min(config.experts_per_token, config.experts);
  if (config.kind == Kind::expert_choice) return config.experts;
  return config.kind == Kind::top_p ? top_p_limit(config, k) : k;
}

Config soft_config(const Config& config) {
  Config soft = config;
  soft.experts_per_token = config.experts + config.null_experts;
  soft.gate = Gate::probability;
  soft.renormalize = false;
  soft.null_weights = NullWeights::true_only;  // the same without renormalising
  soft.softmax_after_selection = false;
  soft.soft_training = false;
  return soft;
}

void validate(const Config& config) { validate_at(config, "router"); }

int router_width(const Config& config) {
  return method(config.kind).needs_logits ? config.experts + config.null_experts : 0;
}

bool is_causal(const Config& config) {
  return method(config.kind).causal && config.capacity_factor == 0.0F;
}

namespace {

// The most outputs whose renormalised weights sum to 1 for one item.
int sharing_experts(const Config& config) {
  if (config.kind == Kind::expert_choice) return config.experts;
  if (config.kind == Kind::top_p && config.min_experts_per_token == 1 &&
      config.threshold * static_cast<float>(config.experts) <= 1.0F) {
    return 1;  // the best probability is at least 1 / E
  }
  return config.null_weights == NullWeights::true_only
             ? std::min(config.experts_per_token, config.experts)
             : config.experts_per_token;
}

// Whether every item takes all outputs of the router.
bool takes_all(const Config& config) {
  const bool certain =
      config.kind == Kind::top_k || config.kind == Kind::recurrent ||
      (config.kind == Kind::top_p &&
       (config.threshold >= 1.0F || config.min_experts_per_token == config.experts));
  return certain && config.null_experts == 0 && config.experts_per_token == config.experts;
}

}  // namespace

bool gate_has_gradient(const Config& config) {
  if (!method(config.kind).needs_logits || config.gate == Gate::none ||
      config.gate == Gate::uniform) {
    return false;
  }
  const bool normal = config.renormalize || config.softmax_after_selection;
  // A probability over one output, or one that is divided by itself, is the constant 1.
  if (config.score == Score::softmax && router_width(config) == 1) return false;
  if (normal && sharing_experts(config) == 1) return false;
  // So is the mass of all outputs.
  return !(config.gate == Gate::mass && config.score == Score::softmax && takes_all(config));
}

}  // namespace switchyard::routing
