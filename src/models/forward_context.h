// What one forward pass is told and what it reports. A value that lives as long as the pass:
// nothing about a pass is ever stored in the model, so two passes over one model cannot disturb
// each other.
//
//   ForwardContext context;
//   context.training = true;
//   context.random = {.seed = 1, .step = step};
//   auto logits = decoder.forward(tokens, context);
//   auto loss = cross_entropy(logits, targets);
//   if (auto extra = context.total_loss(); extra.defined()) loss = loss + extra;
//
// B sequences, T tokens, L layers, E experts, K experts per token, N = B * T items (row b * T + t).
// Thread rule: one pass, one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <torch/types.h>

#include "models/compute_path.h"
#include "models/routers/router.h"

namespace switchyard::models {

// Which random numbers a pass draws: streams are keyed by (seed, step, pass, layer), so that a
// resumed run or a second stochastic pass over the same batch draws exactly what it should.
struct RandomKey {
  // Unset: the seed of the router's config, with which the runtime draws. So an evaluation without
  // a key routes as the runtime does.
  std::optional<std::uint64_t> seed;
  std::uint64_t step = 0;
  std::uint32_t pass = 0;
};

// Experts prescribed instead of the router's choice: oracles, fixed patterns, replay, tests.
struct ForcedRoutes {
  // int64, shape [L], [L, T] or [B, L, T]: the one expert of each item; -1: none. With `several`,
  // each shape has one more dimension in the end: the item's experts, padded with -1 (a replay of
  // top-k). The first L counts all layers; rows of dense layers are not read.
  torch::Tensor experts{};
  bool several = false;
  // Gate weights of the same shape. Undefined: the router's own weights for these experts,
  // normalised as its config says over the prescribed ones (equal shares for a router without
  // logits).
  torch::Tensor weights{};

  // The experts [N, K'] and weights [N, K'] (or undefined) of one layer. Throws Error if the shape
  // does not fit L, B, T or an index is outside [-1, E).
  ForcedRoutes layer(std::int64_t layer, std::int64_t layers, std::int64_t batch,
                     std::int64_t tokens, std::int64_t router_experts) const;
};

// What one MoE layer's router decided: all of RouterOutput, in the shapes [N, R], [N, K'], [E].
struct LayerRoute : RouterOutput {
  int layer = 0;
  bool forced = false;
};

// A term to add to the objective: coefficient * value.
struct LossTerm {
  static constexpr int kAllLayers = -1;

  std::string name;     // "balance", "z", "importance", "entropy", "budget"
  int layer = 0;        // kAllLayers: of all layers together
  torch::Tensor value;  // scalar, without its coefficient
  double coefficient = 0;
};

// A router that cannot learn in this pass although it was asked to. Never guessed around: the
// caller decides.
struct RouterNotice {
  enum class Kind {
    frozen,       // its weights do not require a gradient
    no_gradient,  // no path leads from the output or a loss term to its weights
  };
  Kind kind = Kind::frozen;
  int layer = 0;
  std::string why;  // one line
};

class ForwardContext {
 public:
  // ---- told -------------------------------------------------------------------------------------
  bool training = false;
  RandomKey random;
  // Share of the embeddings and of what attention and FFN add that a training pass sets to zero.
  double dropout = 0;
  std::optional<ForcedRoutes> forced;
  torch::Tensor mask;  // [B, T] bool, false for padding: left out of router losses and counts.
                       // Undefined: no padding
  ComputePath path = ComputePath::automatic;

  // In force instead of the routers' own: schedules set them. See routing::Config.
  std::optional<double> balance_coefficient;
  std::optional<double> inverse_temperature;
  // Whether routers with Config::soft_training mix all outputs; unset: as `training`.
  std::optional<bool> soft;

  // K of this pass for one layer: the innermost override, or the config's. Between 1 and `experts`,
  // null experts among them.
  int experts_per_token(int layer, int configured, int experts) const;

  // Overrides K as long as it lives, for all layers or one. Scopes nest; the last one wins.
  class KScope {
   public:
    KScope(const KScope&) = delete;
    KScope& operator=(const KScope&) = delete;
    ~KScope();

   private:
    friend class ForwardContext;
    KScope(ForwardContext& context, std::optional<int> layer, int k);
    ForwardContext& context_;
  };
  [[nodiscard]] KScope override_k(int k) { return KScope(*this, std::nullopt, k); }
  [[nodiscard]] KScope override_k(int layer, int k) { return KScope(*this, layer, k); }

  // ---- reported, in layer order; a second forward through the same context appends --------------
  std::vector<LayerRoute> routes;
  std::vector<LossTerm> losses;
  std::vector<RouterNotice> notices;

  // Sum of coefficient * value over `losses`; undefined if there is none.
  torch::Tensor total_loss() const;
  void clear_reports();

  // What routers carry from layer to layer of this pass (RouterState::recurrent); the decoder
  // clears it.
  torch::Tensor recurrent;

 private:
  struct KOverride {
    std::optional<int> layer;
    int k = 0;
  };
  std::vector<KOverride> overrides_;
};

}  // namespace switchyard::models
