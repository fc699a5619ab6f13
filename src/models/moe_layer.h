// A feed-forward layer of routed experts: route -> dispatch -> grouped experts -> combine, dropless
// unless the router's config sets a capacity. Shared experts stand outside the router.
//
//   y = sum over chosen e of weight_e * expert_e(x)  +  [sigmoid(w . x)] * shared(x)
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include "switchyard/model_config.h"

#include "models/expert_bank.h"
#include "models/feed_forward.h"
#include "models/forward_context.h"
#include "models/routers/router.h"

namespace switchyard::models {

class MoeLayerImpl : public torch::nn::Module {
 public:
  // `layer` of `layers` keys random streams and forced routes. `cell`: see make_router().
  MoeLayerImpl(const MoeConfig& config, std::int64_t width, int layer, int layers,
               RouterCell cell = nullptr);

  // x [B, T, D], tokens [B, T] int64 (for hash routing) -> [B, T, D]. Reports to the context;
  // throws Error on non-finite router logits, naming the layer.
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& tokens,
                        ForwardContext& context);

  // As Module::to, but the expert map stays whole numbers.
  void to(torch::Device device, torch::Dtype dtype, bool non_blocking = false) override;
  void to(torch::Dtype dtype, bool non_blocking = false) override;
  void to(torch::Device device, bool non_blocking = false) override;

  const MoeConfig& config() const { return config_; }
  Router router{nullptr};
  torch::Tensor expert_map;  // [E] int64 buffer: router index -> slot
  ExpertBank experts{nullptr};
  FeedForward shared{nullptr};  // null: none
  torch::Tensor shared_gate;    // [1, D]; undefined: none

 private:
  MoeConfig config_;
  int layer_ = 0;
  int layers_ = 0;
};
TORCH_MODULE(MoeLayer);

}  // namespace switchyard::models
