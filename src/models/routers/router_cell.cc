#include "models/routers/router_cell.h"

#include <cmath>

#include "base/check.h"
#include "routing/recurrent.h"

namespace switchyard::models {

RouterCellImpl::RouterCellImpl(const routing::Config& config) : cell_(config.cell) {
  const std::int64_t gates = routing::cell_gates(config);
  SWITCHYARD_CHECK(gates > 0);
  const std::int64_t p = config.router_hidden;
  const double bound = 1.0 / std::sqrt(static_cast<double>(p));
  const auto add = [&](const char* name, std::vector<std::int64_t> shape) {
    return register_parameter(name, torch::empty(shape).uniform_(-bound, bound), !config.frozen);
  };
  weight_ih = add("weight_ih", {gates * p, p});
  weight_hh = add("weight_hh", {gates * p, p});
  bias_ih = add("bias_ih", {gates * p});
  bias_hh = add("bias_hh", {gates * p});
}

torch::Tensor RouterCellImpl::forward(const torch::Tensor& x, const torch::Tensor& h) const {
  const auto type = x.scalar_type();
  const auto step = cell_ == routing::Cell::gru
                        ? static_cast<torch::Tensor (*)(
                              const torch::Tensor&, const torch::Tensor&, const torch::Tensor&,
                              const torch::Tensor&, const c10::optional<torch::Tensor>&,
                              const c10::optional<torch::Tensor>&)>(torch::gru_cell)
                        : torch::rnn_tanh_cell;
  return step(x, h, weight_ih.to(type), weight_hh.to(type), bias_ih.to(type), bias_hh.to(type));
}

}  // namespace switchyard::models
