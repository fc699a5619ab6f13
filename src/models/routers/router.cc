#include "models/routers/router.h"

#include "base/check.h"
#include "models/routers/hidden_routers.h"
#include "routing/recurrent.h"

namespace switchyard::models {

RouterImpl::RouterImpl(const routing::Config& config, std::int64_t width, double init_std)
    : config_(config) {
  routing::validate(config);
  const std::int64_t outputs = routing::router_width(config);
  if (outputs == 0) return;
  const auto add = [&](const char* name, std::int64_t rows, std::int64_t columns) {
    return register_parameter(name, torch::randn({rows, columns}) * init_std, !config.frozen);
  };
  weight = add("weight", outputs, routing::router_input_width(config, static_cast<int>(width)));
  if (config.router_hidden > 0) projection = add("projection", config.router_hidden, width);
  if (config.selection_bias) {
    selection_bias = register_buffer("selection_bias", torch::zeros({outputs}));
  }
}

torch::Tensor RouterImpl::score(const torch::Tensor& x, RouterState& /*state*/) {
  if (!weight.defined()) return {};
  SWITCHYARD_CHECK(!projection.defined());  // make_router() would have made another class
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

Router make_router(const routing::Config& config, std::int64_t width, RouterCell cell,
                   double init_std) {
  if (config.kind == routing::Kind::recurrent) {
    return Router(std::shared_ptr<RouterImpl>(
        std::make_shared<RecurrentRouterImpl>(config, width, std::move(cell), init_std)));
  }
  if (config.router_hidden > 0) {
    return Router(
        std::shared_ptr<RouterImpl>(std::make_shared<MlpRouterImpl>(config, width, init_std)));
  }
  return Router(config, width, init_std);
}

}  // namespace switchyard::models
