// What the routers of a model did with many items: gathered from the reports of forward passes, in
// training for the log and in evaluation for the result of a run.
//
// E experts, R router outputs, N items. Null experts and skips are counted apart from experts.
// Thread rule: a value; one caller.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "switchyard/model_config.h"

#include "models/decoder.h"
#include "models/forward_context.h"
#include "train/routing_summary.h"

namespace switchyard::train {

// Of one MoE layer.
struct LayerTotals {
  std::int64_t items = 0;
  std::int64_t nulls = 0;    // assignments to null experts or skips
  std::int64_t dropped = 0;  // assignments lost to capacity
  torch::Tensor load;        // int64 [E] on the CPU: assignments of each expert
  // Of routers that have probabilities, summed over `judged` items:
  std::int64_t judged = 0;
  std::int64_t outputs = 0;  // R
  double entropy = 0;        // nats
  // Filled in evaluation only.
  std::int64_t skipped = 0;  // items without any expert
  double selected_mass = 0;  // probability of the chosen experts, summed over judged items
  // How many judged items have ln(p1 / p2) in [i, i + 1) * kRatioStep, p1 and p2 the two largest
  // probabilities; what is above the last lies in the last.
  static constexpr double kRatioStep = 0.005;
  static constexpr std::size_t kRatioSteps = 4000;
  std::vector<std::int64_t> ratios;
  // int64 [(E + 1)^2] on the CPU: how many items took expert a first in the routed layer before and
  // b here, at (a + 1) (E + 1) + b + 1, with -1 for no expert. Undefined in the first layer.
  torch::Tensor after_previous;

  std::int64_t assignments() const;
  double experts_per_item() const;
};

class RoutingTotals {
 public:
  enum class Detail {
    training,    // what costs next to nothing
    evaluation,  // all
  };
  explicit RoutingTotals(Detail detail) : detail_(detail) {}

  void clear() { *this = RoutingTotals(detail_); }
  // The only place that reads ForwardContext::routes and losses.
  void add(const models::ForwardContext& context);

  bool any() const { return !layers_.empty(); }
  const std::map<int, LayerTotals>& layers() const { return layers_; }  // by layer
  RoutingSummary summary() const;

  // Sum over layers of coefficient * value, by name, mean over passes.
  std::map<std::string, double> losses() const;

  // Means over the items seen: what the experts that were chosen have and cost. 0 without experts.
  double expert_parameters_per_token(const ModelConfig& config) const;

 private:
  Detail detail_;
  std::map<int, LayerTotals> layers_;
  std::map<std::string, double> losses_;
  std::int64_t passes_ = 0;
};

// Weights of one feed-forward network.
std::uint64_t ffn_parameters(const ModelConfig& config, const FfnConfig& ffn);

// Weights a token used, and multiply-adds times two of its forward pass, both counted from the
// experts chosen: ModelConfig's own numbers with the mean of what was chosen in place of K experts.
double measured_active_parameters(const ModelConfig& config, const RoutingTotals& totals);
double measured_flops_per_token(const ModelConfig& config, const RoutingTotals& totals,
                                int context_tokens);

// One line for each layer whose router the backward pass that just ended did not reach (frozen, no
// gradient, all zero).
std::vector<std::string> router_warnings(const models::Decoder& model);

}  // namespace switchyard::train
