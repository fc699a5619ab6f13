// What the routers of a model did, in numbers: part of a run's result and of its log. Without
// libtorch; RoutingTotals makes it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace switchyard::train {

// Means over all MoE layers, each weighing the same unless said otherwise. E experts, R router
// outputs. Unset: the routers have nothing of the kind (no probabilities, not gathered in
// training).
struct RoutingSummary {
  double experts_per_token = 0;  // mean true experts an item and layer
  std::vector<double> experts_per_token_by_layer;
  double null_share = 0;     // of all assignments, those to null experts and skips
  double load_max = 0;       // load of the busiest expert over the mean load; 1 is perfect
  double load_cv = 0;        // standard deviation of the loads over their mean; 0 is perfect
  double load_entropy = 0;   // of the load, over ln E; 1 is perfect
  std::int64_t dead = 0;     // experts of all layers without a single item
  std::int64_t dropped = 0;  // assignments lost to capacity, all layers
  std::optional<double> router_entropy;        // mean over items, nats
  std::optional<double> router_entropy_share;  // the same over ln R: how undecided the router is
  std::optional<double> skip_share;            // items without any expert
  std::optional<double> top_ratio;             // median of p1 / p2 over items of all layers
  std::optional<double> selected_mass;         // mean probability of the chosen experts together
  // Mutual information, in nats, of an item's first expert here and in the routed layer before;
  // mean over all layers but the first
  std::optional<double> layer_information;

  bool operator==(const RoutingSummary&) const = default;
};

}  // namespace switchyard::train
