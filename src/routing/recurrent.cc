#include "routing/recurrent.h"

#include <cmath>

#include "base/check.h"

namespace switchyard::routing {
namespace {

float sigmoid(float x) { return 1.0F / (1.0F + std::exp(-x)); }

// One item. Each span [G p] but h [p].
void gru_step(std::span<const float> x, std::span<const float> s, std::span<const float> bx,
              std::span<const float> bs, std::span<float> h) {
  const std::size_t p = h.size();
  for (std::size_t i = 0; i < p; ++i) {
    const std::size_t z_at = p + i, n_at = 2 * p + i;
    const float r = sigmoid(x[i] + bx[i] + (s[i] + bs[i]));
    const float z = sigmoid(x[z_at] + bx[z_at] + (s[z_at] + bs[z_at]));
    const float n = std::tanh(x[n_at] + bx[n_at] + r * (s[n_at] + bs[n_at]));
    h[i] = (1.0F - z) * n + z * h[i];
  }
}

void rnn_step(std::span<const float> x, std::span<const float> s, std::span<const float> bx,
              std::span<const float> bs, std::span<float> h) {
  for (std::size_t i = 0; i < h.size(); ++i) h[i] = std::tanh(x[i] + bx[i] + (s[i] + bs[i]));
}

}  // namespace

int cell_gates(const Config& config) {
  if (config.kind != Kind::recurrent) return 0;
  return config.cell == Cell::gru ? 3 : 1;
}

int router_input_width(const Config& config, int width) {
  return config.router_hidden > 0 ? config.router_hidden : width;
}

void begin_step(const Config& config, std::size_t items, State& state) {
  const std::size_t size = items * static_cast<std::size_t>(config.router_hidden);
  if (state.recurrent.empty() || config.state_passing == StatePassing::none) {
    state.recurrent.assign(size, 0.0F);
  }
  SWITCHYARD_CHECK(state.recurrent.size() == size);
}

void step_state(const Config& config, const CellInputs& inputs, std::span<float> h) {
  const auto p = static_cast<std::size_t>(config.router_hidden);
  const std::size_t rows = static_cast<std::size_t>(cell_gates(config)) * p;
  SWITCHYARD_CHECK(rows > 0 && h.size() % p == 0);
  const std::size_t items = h.size() / p;
  SWITCHYARD_CHECK(inputs.from_input.size() == items * rows &&
                   inputs.from_state.size() == items * rows);
  SWITCHYARD_CHECK(inputs.bias_ih.size() == rows && inputs.bias_hh.size() == rows);
  const auto step = config.cell == Cell::gru ? gru_step : rnn_step;
  for (std::size_t n = 0; n < items; ++n) {
    step(inputs.from_input.subspan(n * rows, rows), inputs.from_state.subspan(n * rows, rows),
         inputs.bias_ih, inputs.bias_hh, h.subspan(n * p, p));
  }
}

}  // namespace switchyard::routing
