// Routers that are more than one matrix. Router::projection [p, D] makes x' = x Proj^T;
// Router::weight [R, p] makes the logits from what follows.
#pragma once

#include "models/routers/router.h"
#include "models/routers/router_cell.h"

namespace switchyard::models {

// logits = W gelu(Proj x): a two-layer network of its own in each layer, the control arm of RMoE.
class MlpRouterImpl : public RouterImpl {
 public:
  using RouterImpl::RouterImpl;
  torch::Tensor score(const torch::Tensor& x, RouterState& state) override;
};

// logits = W h, where the shared cell made h from x' and the h of the MoE layer before, which
// RouterState::recurrent carries (RMoE, Qiu 2024). Config::state_passing says with what gradient.
class RecurrentRouterImpl : public RouterImpl {
 public:
  RecurrentRouterImpl(const routing::Config& config, std::int64_t width, RouterCell cell,
                      double init_std);
  torch::Tensor score(const torch::Tensor& x, RouterState& state) override;

 private:
  // Not registered: it belongs to the decoder.
  RouterCell cell_;
};

}  // namespace switchyard::models
