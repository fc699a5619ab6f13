// One optimizer step: forward, loss, backward over the micro-batches, clipping, update.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <torch/types.h>

#include "models/decoder.h"
#include "train/optimizer.h"
#include "train/recipe.h"
#include "train/routing_totals.h"
#include "train/value_schedule.h"

namespace switchyard::train {

// What a step is told.
struct StepPlan {
  std::int64_t step = 0;  // finished before: names the random streams
  double lr = 0;
  ScheduledValues router = {};  // in force instead of the routers' own
};

struct StepOutcome {
  double loss = 0;           // mean cross entropy, nats per token
  double router_loss = 0;    // mean of the router's weighted loss terms
  double gradient_norm = 0;  // before clipping
};

// The model being trained. With bf16 the passes run on a bf16 copy of the fp32 weights, which the
// optimizer updates. Thread rule: one caller.
class TrainableModel {
 public:
  TrainableModel(const ModelConfig& config, const TrainRecipe& recipe, double dropout,
                 torch::Device device);

  // `batches`: [B, T + 1] int64 each, all of one shape; the gradient is that of the mean over all
  // of them. Throws Error if loss or gradient is not finite; the weights are then as before.
  StepOutcome step(const std::vector<torch::Tensor>& batches, const StepPlan& plan);

  // The weights as the optimizer keeps them.
  const models::Decoder& master() const { return *master_; }
  models::Decoder& master() { return *master_; }
  // What to evaluate: the weights as the passes see them.
  models::Decoder& compute();
  Optimizer& optimizer() { return *optimizer_; }

  // Weights and buffers, then moments, in the order of the model: what a checkpoint holds.
  std::vector<NamedTensor> weights() const;

  // What the routers did in the last step, and which of them it did not train.
  const RoutingTotals& routers() const { return routers_; }
  const std::vector<std::string>& router_warnings() const { return warnings_; }

 private:
  void refresh_compute();
  void collect_gradients();
  void update_selection_biases();

  TrainRecipe recipe_;
  double dropout_;
  torch::Device device_;
  std::shared_ptr<models::Decoder> master_;
  std::shared_ptr<models::Decoder> compute_;  // the same object as master_ unless bf16
  std::unique_ptr<Optimizer> optimizer_;
  RoutingTotals routers_{RoutingTotals::Detail::training};
  std::vector<std::string> warnings_;
};

}  // namespace switchyard::train
