// The visible table of routing methods. A new method is a file beside this one and a row here.
#include <algorithm>
#include <array>

#include "switchyard/routing.h"

#include "base/check.h"
#include "routing/expert_choice.h"
#include "routing/hash.h"
#include "routing/random.h"
#include "routing/scratch.h"
#include "routing/sigmoid_threshold.h"
#include "routing/top_k.h"
#include "routing/top_p.h"

namespace switchyard::routing {
namespace {

constexpr std::string_view kTopKKnobs[] = {"score",
                                           "softmax_after_selection",
                                           "renormalize",
                                           "gate",
                                           "scaling_factor",
                                           "selection_bias",
                                           "groups",
                                           "groups_per_token",
                                           "group_score",
                                           "capacity_factor",
                                           "overflow",
                                           "frozen",
                                           "null_experts",
                                           "null_weights",
                                           "inverse_temperature",
                                           "soft_training",
                                           "router_hidden",
                                           "losses"};
constexpr std::string_view kTopPKnobs[] = {"threshold",
                                           "threshold_inclusive",
                                           "min_experts_per_token",
                                           "renormalize",
                                           "gate",
                                           "scaling_factor",
                                           "frozen",
                                           "losses"};
constexpr std::string_view kSigmoidThresholdKnobs[] = {"threshold",
                                                       "threshold_inclusive",
                                                       "min_experts_per_token",
                                                       "renormalize",
                                                       "gate",
                                                       "scaling_factor",
                                                       "frozen",
                                                       "losses"};
constexpr std::string_view kRecurrentKnobs[] = {
    "score",          "softmax_after_selection", "renormalize", "gate",   "scaling_factor",
    "selection_bias", "capacity_factor",         "overflow",    "frozen", "router_hidden",
    "cell",           "state_passing",           "losses"};
constexpr std::string_view kExpertChoiceKnobs[] = {"score",          "renormalize", "gate",
                                                   "scaling_factor", "frozen",      "losses"};
constexpr std::string_view kHashKnobs[] = {"scaling_factor", "seed"};
constexpr std::string_view kRandomKnobs[] = {"scaling_factor", "seed", "probabilities"};

constexpr Method kMethods[] = {
    {.kind = Kind::top_k,
     .name = "top_k",
     .paper = "Shazeer 2017; Fedus 2021 (K = 1); Zeng 2024 (null experts)",
     .what = "each item takes its K best experts",
     .causal = true,
     .needs_logits = true,
     .needs_token_ids = false,
     .k_is_limit = false,
     .knobs = kTopKKnobs,
     .route = route_top_k},
    {.kind = Kind::top_p,
     .name = "top_p",
     .paper = "Huang 2024",
     .what = "each item takes experts, best first, until their probabilities sum to a threshold",
     .causal = true,
     .needs_logits = true,
     .needs_token_ids = false,
     .k_is_limit = true,
     .knobs = kTopPKnobs,
     .route = route_top_p},
    {.kind = Kind::recurrent,
     .name = "recurrent",
     .paper = "Qiu 2024",
     .what = "top-k over the state of a cell that runs through the layers, token by token",
     .causal = true,
     .needs_logits = true,
     .needs_token_ids = false,
     .k_is_limit = false,
     .knobs = kRecurrentKnobs,
     .route = route_top_k},
    {.kind = Kind::sigmoid_threshold,
     .name = "sigmoid_threshold",
     .paper = "baseline",
     .what = "each item takes every expert whose sigmoid score reaches a threshold",
     .causal = true,
     .needs_logits = true,
     .needs_token_ids = false,
     .k_is_limit = true,
     .knobs = kSigmoidThresholdKnobs,
     .route = route_sigmoid_threshold},
    {.kind = Kind::expert_choice,
     .name = "expert_choice",
     .paper = "Zhou 2022",
     .what = "each expert takes its best items; not causal, for training and encoders",
     .causal = false,
     .needs_logits = true,
     .needs_token_ids = false,
     .k_is_limit = false,
     .knobs = kExpertChoiceKnobs,
     .route = route_expert_choice},
    {.kind = Kind::hash,
     .name = "hash",
     .paper = "Roller 2021",
     .what = "a token id always goes to the same experts, drawn once",
     .causal = true,
     .needs_logits = false,
     .needs_token_ids = true,
     .k_is_limit = false,
     .knobs = kHashKnobs,
     .route = route_hash},
    {.kind = Kind::random,
     .name = "random",
     .paper = "baseline; Alizadeh 2024 (shares)",
     .what = "K experts drawn for every item, uniformly or by given shares",
     .causal = true,
     .needs_logits = false,
     .needs_token_ids = false,
     .k_is_limit = false,
     .knobs = kRandomKnobs,
     .route = route_random},
};

}  // namespace

std::span<const Method> methods() { return kMethods; }

const Method& method(Kind kind) {
  const auto row = std::ranges::find(kMethods, kind, &Method::kind);
  SWITCHYARD_CHECK(row != std::end(kMethods));
  return *row;
}

std::optional<Kind> kind_from_name(std::string_view name) {
  const auto row = std::ranges::find(kMethods, name, &Method::name);
  if (row == std::end(kMethods)) return std::nullopt;
  return row->kind;
}

void route_into(const Config& config, const Inputs& inputs, State& state, Decision& decision) {
  validate(config);
  const Method& m = method(config.kind);
  if (config.inverse_temperature == 1.0F || inputs.logits.empty()) {
    m.route(config, inputs, state, decision);
    return;
  }
  Scratch<float> scaled(inputs.logits.size());
  std::ranges::transform(inputs.logits, scaled.span().begin(),
                         [&](float logit) { return logit * config.inverse_temperature; });
  Inputs colder = inputs;
  colder.logits = scaled.span();
  m.route(config, colder, state, decision);
}

Decision route(const Config& config, const Inputs& inputs, State& state) {
  Decision decision;
  route_into(config, inputs, state, decision);
  return decision;
}

}  // namespace switchyard::routing
