#include "models/routers/hidden_routers.h"

#include "base/check.h"

namespace switchyard::models {
namespace {

torch::Tensor project(const RouterImpl& router, const torch::Tensor& x) {
  const auto type = x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  return torch::linear(x.to(type), router.projection.to(type));
}

}  // namespace

torch::Tensor MlpRouterImpl::score(const torch::Tensor& x, RouterState& /*state*/) {
  const auto hidden = torch::gelu(project(*this, x), "none");
  return torch::linear(hidden, weight.to(hidden.scalar_type()));
}

RecurrentRouterImpl::RecurrentRouterImpl(const routing::Config& config, std::int64_t width,
                                         RouterCell cell, double init_std)
    : RouterImpl(config, width, init_std), cell_(std::move(cell)) {
  SWITCHYARD_CHECK(!cell_.is_empty());
}

torch::Tensor RecurrentRouterImpl::score(const torch::Tensor& x, RouterState& state) {
  const auto input = project(*this, x);
  auto before = state.recurrent;
  if (!before.defined() || config().state_passing == routing::StatePassing::none) {
    before = torch::zeros_like(input);
  } else if (config().state_passing == routing::StatePassing::detach) {
    before = before.detach();
  }
  SWITCHYARD_CHECK(before.sizes() == input.sizes());
  state.recurrent = cell_->forward(input, before);
  return torch::linear(state.recurrent, weight.to(input.scalar_type()));
}

}  // namespace switchyard::models
