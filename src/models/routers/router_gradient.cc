#include <cmath>

#include "switchyard/error.h"

#include "models/routers/router.h"

namespace switchyard::models {

void require_trainable(const routing::Config& config, const std::string& where) {
  const auto& losses = config.losses;
  const bool by_loss = losses.balance_coefficient > 0 || losses.z_coefficient > 0 ||
                       losses.importance_coefficient > 0 || losses.entropy_coefficient > 0 ||
                       losses.budget_coefficient > 0;
  const bool has_weights = routing::router_width(config) > 0;
  const bool by_gate =
      routing::gate_has_gradient(config.soft_training ? routing::soft_config(config) : config);
  if (!has_weights || config.frozen || by_gate || by_loss) return;
  throw Error({.what = "the router would never be trained: its gate weights are constant and it "
                       "has no auxiliary loss",
               .where = where,
               .expected = "gate weights that depend on the logits, or a loss coefficient above 0",
               .fix = "set renormalize to false with one expert per token, choose another gate, "
                      "or set frozen if this is meant"});
}

RouterGradient router_gradient(const RouterImpl& router) {
  using Status = RouterGradient::Status;
  if (!router.weight.defined()) return {Status::none, 0.0, "this kind of router has no weights"};
  if (!router.weight.requires_grad()) {
    return {Status::frozen, 0.0,
            router.config().frozen ? "the router is frozen, as configured"
                                   : "the router is frozen although its config does not say so"};
  }
  const auto gradient = router.weight.grad();
  if (!gradient.defined()) {
    return {Status::missing, 0.0, "the router received no gradient: no path from the loss to it"};
  }
  const double norm = gradient.to(torch::kFloat64).norm().item<double>();
  if (!std::isfinite(norm)) {
    return {Status::non_finite, norm, "the router's gradient is not finite"};
  }
  if (norm == 0.0) {
    return {Status::zero, 0.0, "the router's gradient is exactly zero: it does not learn"};
  }
  return {Status::flows, norm, ""};
}

}  // namespace switchyard::models
