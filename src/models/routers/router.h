// The differentiable twin of switchyard/routing.h: the same experts and gate weights as
// routing::route, as tensors with a gradient. Parity tests hold the two together.
//
//   Router gate(config.router, config.width);          // registers "weight" [R, D]
//   RouterState state{.seed = seed, .step = step};     // one a forward pass, made by the model
//   state.layer = l;
//   RouterOutput out = gate->forward(x, {}, state);    // x [N, D]
//   y = combine(experts, out.indices, out.weights);
//   loss = loss + out.losses.total(config.router.losses);
//
// Dimension letters: N items, D model width, E experts, R router outputs (routing::router_width), K
// experts per token. Numbers: logits, probabilities and gate weights are fp32 (double stays double)
// whatever type x has. Gradient: the choice of experts is a constant; gradient reaches the logits
// through the gate weights as Config::gate says, and through the losses. Padding (Inputs::mask) is
// routed like any item but left out of losses and counts. Errors: non-finite logits throw Error
// naming layer, item and expert. Thread rule: forward only reads the module; calls with different
// RouterState may run at once.
#pragma once

#include <cstdint>
#include <string>

#include <torch/nn/module.h>
#include <torch/types.h>

#include "switchyard/routing.h"

#include "models/routers/router_cell.h"

namespace switchyard::models {

// Twin of routing::State. A value; what crosses layers of one forward pass travels here and nowhere
// else.
struct RouterState {
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  std::uint32_t pass = 0;
  std::uint32_t layer = 0;
  torch::Tensor recurrent{};  // [N, width], undefined at the start of a pass; with gradient
};

// What one layer's call may give besides x. Every tensor may be left undefined.
struct RouterInputs {
  torch::Tensor token_ids{};  // [N] int64; needed by hash
  torch::Tensor item_ids{};   // [N] int64 >= 0; names items in random streams, see routing::Inputs
  torch::Tensor mask{};       // [N] bool, false for padding
  // Forced routes: [N, K'] int64 expert ids, routing::kNoExpert for none. The experts are taken as
  // given (no capacity, no groups); the gate weights follow Config from this layer's logits, unless
  // forced_weights [N, K'] gives them.
  torch::Tensor forced{};
  torch::Tensor forced_weights{};
  int experts_per_token = 0;  // K for this call; 0: Config's
  // In force instead of the router's own, with the same R: what schedules changed. Borrowed.
  const routing::Config* config = nullptr;
};

// Auxiliary losses of one layer, each without its coefficient. Undefined where the coefficient is
// 0. Definitions and values at perfect balance: routing/losses.h.
struct RouterLosses {
  torch::Tensor balance{};
  torch::Tensor z{};
  torch::Tensor importance{};
  torch::Tensor entropy{};

  // Sum of coefficient * term; undefined when every coefficient is 0.
  torch::Tensor total(const routing::LossConfig& config) const;
};

struct RouterOutput {
  torch::Tensor logits;   // [N, R]; undefined for kinds without router weights
  torch::Tensor probs;    // [N, R], rows sum to 1; undefined for kinds without router weights
  torch::Tensor indices;  // [N, K] int64, best first; routing::kNoExpert where dropped or absent,
                          // anywhere in the row
  torch::Tensor weights;  // [N, K], differentiable, exactly 0 where indices is kNoExpert
  torch::Tensor counts;   // [E] int64 assignments per expert, padding left out
  std::int64_t dropped = 0;     // assignments lost to capacity
  std::int64_t null_count = 0;  // assignments to null experts or skips
  RouterLosses losses;
};

// Routes given logits [N, R]; undefined for hash and random, whose output then lies on `device`.
// selection_bias [R] may be undefined.
RouterOutput route(const routing::Config& config, const torch::Tensor& logits,
                   const torch::Tensor& selection_bias, std::int64_t items,
                   const torch::Device& device, const RouterInputs& inputs, RouterState& state);

// A router of one layer: score() makes the logits, route() decides. A method with another way to
// make logits (a frozen random projection, a recurrent cell that reads and writes
// RouterState::recurrent) is a subclass that overrides score(); a Router holds any of them.
// make_router() picks the class for the kind.
class RouterImpl : public torch::nn::Module {
 public:
  // W ~ N(0, init_std^2). Throws Error where Config does not hold together.
  RouterImpl(const routing::Config& config, std::int64_t width, double init_std = 0.02);

  // x [N, D] of any floating type.
  RouterOutput forward(const torch::Tensor& x, const RouterInputs& inputs, RouterState& state);

  const routing::Config& config() const { return config_; }

  // Auxiliary-loss-free balancing (Wang 2024, DeepSeek-V3), once per optimiser step: raises the
  // bias of experts below the mean load by `rate` and lowers that of those above. counts [E].
  void update_selection_bias(const torch::Tensor& counts, double rate);

  // Logits [N, R] in fp32 (double for double x): x W^T. Undefined for kinds without router weights.
  virtual torch::Tensor score(const torch::Tensor& x, RouterState& state);

  // Neither has a gradient when frozen.
  torch::Tensor weight;      // [R, D], or [R, p] behind a projection; undefined for kinds without
  torch::Tensor projection;  // [p, D]; undefined where the router is one matrix
  torch::Tensor selection_bias;  // [R] buffer; undefined unless Config::selection_bias

 private:
  routing::Config config_;
};
TORCH_MODULE(Router);

// `cell`: of the model, needed by recurrent kinds; null for others.
Router make_router(const routing::Config& config, std::int64_t width, RouterCell cell = nullptr,
                   double init_std = 0.02);

// Throws Error when training could never move this router and nobody asked for that: no gradient
// through the gate, no auxiliary loss, and not frozen. The trainer calls it before the first step.
// `where` names recipe and layer.
void require_trainable(const routing::Config& config, const std::string& where);

// What backward left in the router's weight. Call it between backward and the optimiser step.
struct RouterGradient {
  enum class Status {
    flows,
    frozen,   // Config::frozen: as asked for
    none,     // the kind has no weights
    missing,  // trainable, but no gradient arrived
    zero,     // a gradient arrived and every entry is 0
    non_finite,
  };
  Status status = Status::none;
  double norm = 0.0;    // L2
  std::string message;  // one line for the log; empty when it flows
};
RouterGradient router_gradient(const RouterImpl& router);

}  // namespace switchyard::models
