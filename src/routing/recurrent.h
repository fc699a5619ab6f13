// How a recurrent router (RMoE, Qiu 2024) moves its state from one MoE layer to the next, and the
// sizes of routers that are more than one matrix.
//
//   x' = Proj_l x                               [p, D], of layer l
//   gru: r = sigmoid(W_ir x' + b_ir + W_hr h + b_hr);  z likewise
//        n = tanh(W_in x' + b_in + r * (W_hn h + b_hn));  h := (1 - z) n + z h
//   rnn: h := tanh(W_ih x' + b_ih + W_hh h + b_hh)
//   logits = G_l h                              [R, p], of layer l
//
// The cell is torch's: weight_ih [G p, p] has the blocks r, z, n one below the other, and so have
// weight_hh and the biases; all layers share it. h starts at zero in the first MoE layer of every
// pass and never crosses positions, so prefill, decode and any batch mix agree.
//
// The matrix products belong to the caller, who has threads and kernels; here is the rest.
// Dimension letters: N items, p router_hidden, G gates of the cell, D model width, R outputs.
#pragma once

#include <cstddef>
#include <span>

#include "switchyard/routing.h"

namespace switchyard::routing {

// Blocks of p rows in the cell's weights: 3 for gru, 1 for rnn; 0 for kinds without a cell.
int cell_gates(const Config& config);

// Columns of the last matrix, which makes the logits: p where there is something before it, else D.
int router_input_width(const Config& config, int width);

// What one layer brings to the step, fp32.
struct CellInputs {
  std::span<const float> from_input{};  // [N, G p]: x' weight_ih^T
  std::span<const float> from_state{};  // [N, G p]: h weight_hh^T
  std::span<const float> bias_ih{};     // [G p]
  std::span<const float> bias_hh{};     // [G p]
};

// Makes State::recurrent [N, p] what the layer's step starts from: zeros in the first MoE layer of
// a pass (when it is empty) and in every layer with StatePassing::none.
void begin_step(const Config& config, std::size_t items, State& state);

// The step itself, for any range of items: h [N, p], a part of State::recurrent, becomes the state
// of this layer. Wrong sizes are a bug of the caller (InternalError).
void step_state(const Config& config, const CellInputs& inputs, std::span<float> h);

}  // namespace switchyard::routing
