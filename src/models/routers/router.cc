#include "models/routers/router.h"

#include "base/check.h"

namespace switchyard::models {

RouterImpl::RouterImpl(const routing::Config& config, std::int64_t width, double init_std)
    : config_(config) {
  routing::validate(config);
  const std::int64_t outputs = routing::router_width(config);
  if (outputs == 0) return;
  weight = register_parameter("weight", torch::randn({outputs, width}) * init_std, !config.frozen);
  if (config.selection_bias) {
    selection_bias = register_buffer("selection_bias", torch::zeros({outputs}));
  }
}

torch::Tensor RouterImpl::score(const torch::Tensor& x, RouterState& /*state*/) {
  if (!weight.defined()) return {};
  const auto type = x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  return torch::linear(x.to(type), weight.to(type));
}

RouterOutput RouterImpl::forward(const torch::Tensor& x, const RouterInputs& inputs,
                                 RouterState& state) {
  SWITCHYARD_CHECK(x.dim() == 2);
  const routing::Config& config = inputs.config != nullptr ? *inputs.config : config_;
  return route(config, score(x, state), selection_bias, x.size(0), x.device(), inputs, state);
}

void RouterImpl::update_selection_bias(const torch::Tensor& counts, double rate) {
  SWITCHYARD_CHECK(selection_bias.defined());
  const torch::NoGradGuard no_grad;
  const auto load = counts.to(selection_bias.options());
  selection_bias.add_(rate * (load.mean() - load).sign());
}

Router make_router(const routing::Config& config, std::int64_t width, double init_std) {
  return Router(config, width, init_std);
}

}  // namespace switchyard::models
