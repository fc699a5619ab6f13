// The least that computing tokens needs: bytes that must come from memory, and operations. A speed
// divided by it says how near a run came to what the machine allows.
//
// What is counted: every weight of a dense matrix once per run of tokens that pass through the
// layers together, every expert once per run and layer in which a token chose it, the cached rows
// that the run's tokens see once per run, the output matrix only in runs that end with logits. An
// embedding is looked up: its row is not counted. Operations are multiplications and additions of
// products with weights and of attention; norms, activations and the router's choice are not
// counted.
#pragma once

#include <cstdint>
#include <vector>

#include "switchyard/dtype.h"
#include "switchyard/runtime.h"

namespace switchyard::runtime {

struct Work {
  double weight_bytes = 0;
  double cache_bytes = 0;         // keys and values, or latents
  double float_operations = 0;    // products with plain weights, and attention
  double integer_operations = 0;  // products with quantised weights: 8-bit integers

  double bytes() const { return weight_bytes + cache_bytes; }
  double operations() const { return float_operations + integer_operations; }
  Work& operator+=(const Work& other);
};

// Adds up the work of steps of one session, as they are computed.
class WorkCounter {
 public:
  explicit WorkCounter(const Model& model);

  // All but the experts of a step of `tokens` tokens, after `before` tokens in the cache, with the
  // logits of the last one.
  void add_step(int before, int tokens);
  // The experts of one MoE layer: StepOptions::on_route.
  void add_routes(const RouteRecord& record);

  const Work& total() const { return total_; }
  void reset() { total_ = {}; }

 private:
  const Model& model_;
  Work once_;       // bytes of a run's dense weights, without the output matrix
  Work per_token_;  // operations of dense products
  Work output_;     // the output matrix for one row of logits
  std::vector<std::vector<Work>> expert_;  // [L][E]: its bytes, and operations for one token
  Work total_;
};

// The element type that most weights are of.
DType main_weight_type(const Model& model);

// Bytes of weights that a decoded token reads: all dense matrices but the embedding table, and
// those of its experts, whose hidden widths over all layers sum to `expert_width`.
std::uint64_t weight_bytes_per_token(const Model& model, double expert_width);

}  // namespace switchyard::runtime
