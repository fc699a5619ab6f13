// How each kind of router makes its logits from the layer's normed input.
#include "routing/recurrent.h"
#include "runtime/run.h"

namespace switchyard::runtime {
namespace {

// h of the layer before in state becomes h of this one, from x' [N, p].
void step_cell(Run& run, std::span<const float> projected, routing::State& state) {
  const Model::Impl& m = run.model;
  const routing::Config& router = m.config.moe->router;
  const CellWeights& cell = m.weights.router_cell;
  Scratch& s = run.scratch;
  const std::size_t n = run.size();
  const auto p = static_cast<std::size_t>(router.router_hidden);
  const std::size_t rows = cell.weight_ih.rows;
  routing::begin_step(router, n, state);
  const Product products[] = {
      {cell.weight_ih, projected.data(), n, s.cell_from_input.data()},
      {cell.weight_hh, state.recurrent.data(), n, s.cell_from_state.data()}};
  multiply(run, products);
  // An exponential costs about as much as a hundred multiply-adds.
  spread(run.threads, n, n * rows * 100, [&](std::size_t begin, std::size_t end) {
    const std::size_t count = end - begin;
    routing::step_state(router,
                        {.from_input = s.cell_from_input.subspan(begin * rows, count * rows),
                         .from_state = s.cell_from_state.subspan(begin * rows, count * rows),
                         .bias_ih = cell.bias_ih,
                         .bias_hh = cell.bias_hh},
                        std::span(state.recurrent).subspan(begin * p, count * p));
  });
}

}  // namespace

void router_logits(Run& run, const LayerWeights& w, routing::State& state,
                   std::span<float> logits) {
  if (w.router.data == nullptr) return;
  const Model::Impl& m = run.model;
  const std::size_t n = run.size();
  std::span<const float> x = run.scratch.normed;
  if (w.router_projection.data != nullptr) {
    const auto hidden = run.scratch.router_hidden.first(n * w.router_projection.rows);
    multiply(run, {w.router_projection, x.data(), n, hidden.data()});
    if (m.weights.router_cell.weight_ih.data != nullptr) {
      step_cell(run, hidden, state);
      x = state.recurrent;
    } else {
      m.kernels->gelu(hidden.data(), nullptr, hidden.data(), hidden.size());
      x = hidden;
    }
  }
  multiply(run, {w.router, x.data(), n, logits.data()});
  add_bias_to_rows(logits.first(n * w.router.rows), w.router_bias);
}

}  // namespace switchyard::runtime
