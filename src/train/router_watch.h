// Looks at what the routers of a model did: load statistics for the log, and routers that do not
// learn, which are reported and never guessed around.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/decoder.h"
#include "models/forward_context.h"

namespace switchyard::train {

// Over the items of one optimizer step, averaged over layers unless said otherwise.
struct RouterStats {
  double load_max = 0;      // load of the busiest expert over the mean load; 1 is perfect balance
  double load_entropy = 0;  // entropy of the load divided by log E; 1 is perfect balance
  double router_entropy =
      0;  // mean entropy of the router's probabilities over log R: how undecided it is
  std::int64_t dead = 0;     // experts of all layers without a single item
  std::int64_t dropped = 0;  // assignments lost to capacity, all layers
};

// Collects the passes of one step. Thread rule: one caller.
class RouterWatch {
 public:
  explicit RouterWatch(int layers) : load_(static_cast<std::size_t>(layers)) {}

  void clear() { *this = RouterWatch(static_cast<int>(load_.size())); }
  void add(const models::ForwardContext& context);
  bool any() const;
  // Assignments per expert of a layer, int64 [E]; undefined for a layer without experts.
  const torch::Tensor& load(int layer) const { return load_.at(static_cast<std::size_t>(layer)); }
  RouterStats stats() const;

 private:
  std::vector<torch::Tensor> load_;  // [L]
  double entropy_sum_ = 0;
  std::int64_t entropies_ = 0;
  std::int64_t dropped_ = 0;
};

// One line for each layer whose router the backward pass that just ended did not reach (frozen, no
// gradient, all zero).
std::vector<std::string> router_warnings(const models::Decoder& model);

}  // namespace switchyard::train
