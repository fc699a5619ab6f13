#include "train/routing_totals.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include <torch/special.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace switchyard::train {
namespace {

void add_ratios(const torch::Tensor& probs, LayerTotals& out) {
  if (out.ratios.empty()) out.ratios.assign(LayerTotals::kRatioSteps, 0);
  const torch::Tensor top = std::get<0>(probs.topk(2, 1));
  const torch::Tensor ratio = (top.select(1, 0).log() - top.select(1, 1).log())
                                  .div(LayerTotals::kRatioStep)
                                  .clamp(0.0, static_cast<double>(LayerTotals::kRatioSteps - 1))
                                  .to(torch::kInt64);
  const torch::Tensor counts =
      torch::bincount(ratio, {}, static_cast<std::int64_t>(LayerTotals::kRatioSteps))
          .to(torch::kCPU)
          .contiguous();
  for (std::size_t i = 0; i < LayerTotals::kRatioSteps; ++i)
    out.ratios[i] += counts.data_ptr<std::int64_t>()[i];
}

void add_probabilities(const models::LayerRoute& route, bool all, LayerTotals& out) {
  const torch::Tensor probs = route.probs.to(torch::kFloat32);
  out.judged += probs.size(0);
  out.outputs = probs.size(1);
  out.entropy -= torch::special::xlogy(probs, probs).sum(torch::kFloat64).item<double>();
  if (!all) return;
  const torch::Tensor chosen = route.indices.ge(0);
  const torch::Tensor mass = probs.gather(1, route.indices.clamp_min(0)) * chosen;
  out.selected_mass += mass.sum(torch::kFloat64).item<double>();
  if (probs.size(1) > 1) add_ratios(probs, out);
}

void add_pairs(const models::LayerRoute& before, const models::LayerRoute& here, LayerTotals& out) {
  const std::int64_t columns = here.counts.size(0) + 1;
  if (before.indices.size(0) != here.indices.size(0) || before.counts.size(0) + 1 != columns)
    return;
  const torch::Tensor at =
      (before.indices.select(1, 0) + 1) * columns + here.indices.select(1, 0) + 1;
  const torch::Tensor counts = torch::bincount(at, {}, columns * columns).to(torch::kCPU);
  out.after_previous = out.after_previous.defined() ? out.after_previous + counts : counts;
}

// Mutual information of two choices in nats, from how often each pair was seen.
double mutual_information(const torch::Tensor& pairs) {
  const auto columns = static_cast<std::int64_t>(std::lround(std::sqrt(pairs.numel())));
  const torch::Tensor joint =
      pairs.view({columns, columns}).to(torch::kFloat64) /
      static_cast<double>(std::max<std::int64_t>(1, pairs.sum().item<std::int64_t>()));
  const torch::Tensor apart = joint.sum(1, true) * joint.sum(0, true);
  return (torch::special::xlogy(joint, joint) - torch::special::xlogy(joint, apart))
      .sum()
      .item<double>();
}

// The median of p1 / p2: exact to half a step of its logarithm.
std::optional<double> median_ratio(const std::vector<std::int64_t>& counts) {
  std::int64_t total = 0;
  for (const std::int64_t count : counts) total += count;
  std::int64_t below = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    below += counts[i];
    if (total > 0 && 2 * below >= total)
      return std::exp((static_cast<double>(i) + 0.5) * LayerTotals::kRatioStep);
  }
  return std::nullopt;
}

// All but the routed experts.
ModelConfig without_experts(ModelConfig config) {
  if (config.moe) config.moe->router.experts_per_token = 0;
  return config;
}

}  // namespace

std::uint64_t ffn_parameters(const ModelConfig& config, const FfnConfig& ffn) {
  return static_cast<std::uint64_t>(config.width) * static_cast<std::uint64_t>(ffn.hidden) *
         (ffn.gated ? 3 : 2);
}

std::int64_t LayerTotals::assignments() const {
  return load.defined() ? load.sum().item<std::int64_t>() : 0;
}

double LayerTotals::experts_per_item() const {
  return items > 0 ? static_cast<double>(assignments()) / static_cast<double>(items) : 0.0;
}

void RoutingTotals::add(const models::ForwardContext& context) {
  const torch::NoGradGuard no_grad;
  const bool all = detail_ == Detail::evaluation;
  ++passes_;
  const models::LayerRoute* before = nullptr;
  for (const models::LayerRoute& route : context.routes) {
    LayerTotals& out = layers_[route.layer];
    const torch::Tensor counts = route.counts.to(torch::kCPU);
    out.load = out.load.defined() ? out.load + counts : counts;
    out.items += route.indices.size(0);
    out.nulls += route.null_count;
    out.dropped += route.dropped;
    if (all) out.skipped += route.indices.lt(0).all(1).sum().item<std::int64_t>();
    if (route.probs.defined()) add_probabilities(route, all, out);
    if (all && before != nullptr) add_pairs(*before, route, out);
    before = &route;
  }
  for (const models::LossTerm& term : context.losses)
    losses_[term.name] += term.coefficient * term.value.item<double>();
}

RoutingSummary RoutingTotals::summary() const {
  RoutingSummary out;
  if (layers_.empty()) return out;
  std::int64_t assignments = 0;
  std::int64_t nulls = 0;
  std::int64_t items = 0;
  std::int64_t skipped = 0;
  std::int64_t judged = 0;
  double entropy = 0;
  double entropy_share = 0;
  double mass = 0;
  int judged_layers = 0;
  double information = 0;
  int pairs = 0;
  std::vector<std::int64_t> ratios(LayerTotals::kRatioSteps, 0);
  for (const auto& [number, layer] : layers_) {
    const std::int64_t total = layer.assignments();
    assignments += total;
    nulls += layer.nulls;
    items += layer.items;
    skipped += layer.skipped;
    out.dropped += layer.dropped;
    out.experts_per_token_by_layer.push_back(layer.experts_per_item());
    out.experts_per_token += layer.experts_per_item();

    const auto experts = static_cast<double>(layer.load.numel());
    const torch::Tensor share =
        layer.load.to(torch::kFloat64) / static_cast<double>(std::max<std::int64_t>(1, total));
    out.load_max += share.max().item<double>() * experts;
    out.load_cv += std::sqrt((share * experts - 1.0).square().mean().item<double>());
    out.dead += (layer.load == 0).sum().item<std::int64_t>();
    out.load_entropy +=
        experts > 1 ? -torch::special::xlogy(share, share).sum().item<double>() / std::log(experts)
                    : 1.0;
    if (layer.after_previous.defined()) {
      ++pairs;
      information += mutual_information(layer.after_previous);
    }
    if (layer.judged > 0) {
      ++judged_layers;
      judged += layer.judged;
      entropy += layer.entropy;
      mass += layer.selected_mass;
      if (layer.outputs > 1)
        entropy_share += layer.entropy / static_cast<double>(layer.judged) /
                         std::log(static_cast<double>(layer.outputs));
      for (std::size_t i = 0; i < layer.ratios.size(); ++i) ratios[i] += layer.ratios[i];
    }
  }
  const auto layers = static_cast<double>(layers_.size());
  out.experts_per_token /= layers;
  out.load_max /= layers;
  out.load_cv /= layers;
  out.load_entropy /= layers;
  if (assignments + nulls > 0)
    out.null_share = static_cast<double>(nulls) / static_cast<double>(assignments + nulls);
  if (judged > 0) {
    out.router_entropy = entropy / static_cast<double>(judged);
    out.router_entropy_share = entropy_share / judged_layers;
  }
  if (detail_ == Detail::evaluation) {
    out.skip_share = static_cast<double>(skipped) / static_cast<double>(items);
    if (pairs > 0) out.layer_information = information / pairs;
    if (judged > 0) {
      out.selected_mass = mass / static_cast<double>(judged);
      out.top_ratio = median_ratio(ratios);
    }
  }
  return out;
}

std::map<std::string, double> RoutingTotals::losses() const {
  std::map<std::string, double> out = losses_;
  for (auto& [name, sum] : out) sum /= static_cast<double>(std::max<std::int64_t>(1, passes_));
  return out;
}

double RoutingTotals::expert_parameters_per_token(const ModelConfig& config) const {
  double mean = 0;
  for (const auto& [number, layer] : layers_) {
    double sum = 0;
    for (std::int64_t e = 0; e < layer.load.numel(); ++e) {
      sum += static_cast<double>(layer.load[e].item<std::int64_t>()) *
             static_cast<double>(ffn_parameters(config, config.moe->ffn(static_cast<int>(e))));
    }
    if (layer.items > 0) mean += sum / static_cast<double>(layer.items);
  }
  return mean;
}

double measured_active_parameters(const ModelConfig& config, const RoutingTotals& totals) {
  return static_cast<double>(without_experts(config).active_parameters()) +
         totals.expert_parameters_per_token(config);
}

double measured_flops_per_token(const ModelConfig& config, const RoutingTotals& totals,
                                int context_tokens) {
  return static_cast<double>(without_experts(config).flops_per_token(context_tokens)) +
         2.0 * totals.expert_parameters_per_token(config);
}

std::vector<std::string> router_warnings(const models::Decoder& model) {
  std::vector<std::string> lines;
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    const models::MoeLayer& moe = model.layers[l]->moe;
    if (moe.is_empty()) continue;
    const models::RouterGradient gradient = models::router_gradient(*moe->router);
    // A kind without weights has nothing to train, as asked for.
    if (gradient.status == models::RouterGradient::Status::none) continue;
    if (!gradient.message.empty())
      lines.push_back(fmt::format("layer {}: {}", l, gradient.message));
  }
  return lines;
}

}  // namespace switchyard::train
