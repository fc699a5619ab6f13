#include <algorithm>
#include <string>

#include "switchyard/error.h"

#include "base/check.h"
#include "models/routers/choose.h"
#include "routing/capacity.h"
#include "routing/top_p.h"

namespace switchyard::models {
namespace {

using torch::indexing::Slice;

// Indices of the k largest along the last dimension, best first. A stable sort keeps the lower
// index first among equals, which topk does not promise.
torch::Tensor best(const torch::Tensor& keys, std::int64_t k) {
  const auto order = std::get<1>(torch::sort(keys, /*stable=*/true, -1, /*descending=*/true));
  return order.index({"...", Slice(torch::indexing::None, k)});
}

torch::Tensor scores(routing::Score rule, const torch::Tensor& logits) {
  return rule == routing::Score::softmax ? logits.softmax(-1) : logits.sigmoid();
}

// Rules as in routing/selection_keys.h.
torch::Tensor selection_keys(const routing::Config& config, const torch::Tensor& logits,
                             const torch::Tensor& bias) {
  auto keys = bias.defined() ? scores(config.score, logits) + bias : logits;
  if (config.groups_per_token == config.groups) return keys;

  const bool two = config.group_score == routing::GroupScore::top2_sum;
  const auto basis = two && !bias.defined() ? scores(config.score, logits) : keys;
  const auto members = basis.view({basis.size(0), config.groups, -1});
  const auto group_key =
      two && members.size(2) > 1 ? std::get<0>(members.topk(2, -1)).sum(-1) : members.amax(-1);
  const auto kept = torch::zeros_like(group_key, torch::kBool)
                        .scatter_(1, best(group_key, config.groups_per_token), true);
  const auto open = kept.unsqueeze(-1).expand_as(members).reshape(keys.sizes());
  return keys.masked_fill(~open, -std::numeric_limits<double>::infinity());
}

// Rules as in routing/top_p.h; as wide as the item with the most experts.
torch::Tensor choose_top_p(const routing::Config& config, const torch::Tensor& logits, int cap) {
  const int limit = routing::top_p_limit(config, cap);
  auto indices = best(logits, limit);
  if (config.threshold >= 1.0F) return indices;
  const auto sums =
      logits.softmax(1).gather(1, indices).to(torch::kFloat64).cumsum(1).to(torch::kFloat32);
  const auto reached =
      config.threshold_inclusive ? sums >= config.threshold : sums > config.threshold;
  const auto taken = ((~reached).sum(1, /*keepdim=*/true) + 1)
                         .clamp(std::min(config.min_experts_per_token, limit), limit);
  const auto place = torch::arange(limit, indices.options());
  indices = indices.masked_fill(place >= taken, routing::kNoExpert);
  return taken.numel() == 0 ? indices : indices.narrow(1, 0, taken.max().item<std::int64_t>());
}

void check_finite(const torch::Tensor& logits) {
  const auto finite = torch::isfinite(logits);
  if (finite.all().item<bool>()) return;
  const auto at = (~finite).nonzero()[0].to(torch::kCPU);
  const auto item = at[0].item<std::int64_t>();
  const auto expert = at[1].item<std::int64_t>();
  throw Error({.what = "router logit is " + std::to_string(logits[item][expert].item<double>()),
               .where = "item " + std::to_string(item) + ", expert " + std::to_string(expert),
               .expected = "a finite number",
               .fix = "the model has diverged or its weights are damaged"});
}

}  // namespace

bool can_choose_on_device(const routing::Config& config) {
  const bool sequential =
      config.capacity_factor > 0.0F && config.overflow == routing::Overflow::next_expert;
  const bool best_k =
      config.kind == routing::Kind::top_k || config.kind == routing::Kind::recurrent;
  return (best_k || config.kind == routing::Kind::top_p) && !sequential;
}

Choice choose_on_device(const routing::Config& config, const ChooseInputs& inputs,
                        const RouterState& /*state*/) {
  SWITCHYARD_CHECK(can_choose_on_device(config));
  check_finite(inputs.logits);
  const auto logits = inputs.logits * config.inverse_temperature;
  const int k = inputs.experts_per_token != 0 ? inputs.experts_per_token : config.experts_per_token;
  Choice choice;
  if (config.kind == routing::Kind::top_p) {
    choice.indices = choose_top_p(config, logits, k);
    return choice;
  }
  choice.indices = best(selection_keys(config, logits, inputs.selection_bias), k);

  const auto capacity = routing::expert_capacity(config, static_cast<std::size_t>(inputs.items), k);
  if (capacity != 0) {
    // Place of every assignment in its expert's queue: a running count of the expert over the
    // flattened assignments.
    const auto flat = choice.indices.reshape({-1});
    const auto queue = torch::one_hot(flat, config.experts).cumsum(0);
    const auto place = queue.gather(1, flat.unsqueeze(1)).view_as(choice.indices);
    choice.lost = place > static_cast<std::int64_t>(capacity);
  }
  return choice;
}

Choice choose(const routing::Config& config, const ChooseInputs& inputs, const RouterState& state) {
  try {
    const bool on_device = !inputs.device.is_cpu() && can_choose_on_device(config);
    return on_device ? choose_on_device(config, inputs, state)
                     : choose_on_host(config, inputs, state);
  } catch (const Error& error) {
    auto parts = error.parts();
    parts.where = "layer " + std::to_string(state.layer) + ", " + parts.where;
    throw Error(parts);
  }
}

}  // namespace switchyard::models
