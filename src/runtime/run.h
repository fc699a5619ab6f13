// A run: the tokens, of one or several sequences, that pass through the layers together. Private to
// the runtime.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "switchyard/dispatch.h"
#include "switchyard/runtime.h"
#include "switchyard/thread_pool.h"

#include "runtime/matmul.h"
#include "runtime/model_impl.h"
#include "runtime/scratch.h"
#include "runtime/session_impl.h"

namespace switchyard::runtime {

struct RunToken {
  Session::Impl* session = nullptr;
  std::int32_t id = 0;
  int position = 0;                                        // in its session
  const std::vector<routing::Decision>* forced = nullptr;  // [L], null: the router decides
  std::size_t forced_item = 0;                             // this token's item there
};

// What the layers of one run share.
struct Run {
  const Model::Impl& model;
  ThreadPool& threads;
  Scratch& scratch;
  std::vector<RunToken> tokens = {};  // [N]
  std::size_t first_token = 0;        // of the step
  const StepOptions& options;

  // Used again by every MoE layer.
  routing::Decision decision = {};
  routing::Decision guess = {};
  routing::State router_state = {};  // of this pass through the layers
  routing::State guess_state = {};
  dispatch::Plan plan = {};
  std::vector<std::int32_t> token_ids = {};
  std::vector<std::uint64_t> positions = {};
  std::vector<std::uint32_t> active = {};

  std::size_t size() const { return tokens.size(); }
};

// Products with the run's kernels, threads and memory.
inline void multiply(Run& run, std::span<const Product> products) {
  multiply(*run.model.kernels, run.threads, std::as_writable_bytes(run.scratch.rounded), products);
}
inline void multiply(Run& run, const Product& product) { multiply(run, std::span(&product, 1)); }

// Memory in the run's scratch for row n of rows rounded to 8 bits; the next product that rounds its
// own rows takes the same memory.
inline std::byte* rounded_row(Run& run, std::size_t n, std::size_t columns) {
  return std::as_writable_bytes(run.scratch.rounded).data() + n * kernels::q8_row_bytes(columns);
}

// Tells StepOptions::on_input what was multiplied with a matrix. Callers ask wants_inputs() first,
// so that nobody makes names in vain.
inline bool wants_inputs(const Run& run) { return static_cast<bool>(run.options.on_input); }
inline void report_input(const Run& run, std::string weight, const Product& product) {
  run.options.on_input({.weight = std::move(weight),
                        .x = product.x,
                        .rows = product.rows,
                        .columns = product.weight.columns,
                        .stride = product.weight.columns});
}

// A dense or shared network over all tokens of the run. in, out [N, D]
void run_ffn(Run& run, const FfnWeights& weights, const FfnConfig& ffn, std::span<const float> in,
             std::span<float> out);

// Right after run_ffn(), whose hidden values are still in scratch.up: its inputs, for
// wants_inputs(). `name` gives the name of "gate", "up" and "down".
void report_ffn_inputs(const Run& run, const FfnWeights& weights, std::span<const float> in,
                       const std::function<std::string(std::string_view)>& name);

// Logits [N, R] of one layer's router from `normed`; leaves them alone for kinds without. A
// recurrent router's step moves state.recurrent on.
void router_logits(Run& run, const LayerWeights& w, routing::State& state, std::span<float> logits);

// Output of attention on the latent cache, in `block`.
void run_latent_attention(Run& run, int layer);

// Each adds its output to the residual stream x [N, D].
void run_attention(Run& run, int layer);
void run_dense_ffn(Run& run, int layer);
void run_moe(Run& run, int layer);

// What an activation costs, in multiply-adds of a product.
inline constexpr std::size_t kActivationWork = 32;

// Runs body(begin, end) over [0, count), on all threads only when `work` multiply-adds are worth
// waking them.
template <class Body>
void spread(ThreadPool& threads, std::size_t count, std::size_t work, Body&& body) {
  if (work < kSerialWork || threads.threads() == 1) {
    body(std::size_t{0}, count);
    return;
  }
  // Several pieces a thread, so that uneven ones even out.
  const std::size_t pieces = static_cast<std::size_t>(threads.threads()) * 8;
  threads.parallel_for(count, std::max<std::size_t>(1, count / pieces), body);
}

// y = rms_norm(x, weight) row by row; x and y [N, D].
void normalise_rows(Run& run, std::span<const float> x, std::span<const float> weight,
                    std::span<float> y);
inline void add_bias(std::span<float> row, std::span<const float> bias) {
  for (std::size_t i = 0; i < bias.size(); ++i) row[i] += bias[i];
}
// The same to every row; does nothing where the bias is empty.
inline void add_bias_to_rows(std::span<float> rows, std::span<const float> bias) {
  if (bias.empty()) return;
  for (std::size_t at = 0; at < rows.size(); at += bias.size()) {
    add_bias(rows.subspan(at, bias.size()), bias);
  }
}

// x += block, [N, D].
void add_block(Run& run);
// activation(gate) * up, or activation(up) when not gated; the result is in up, gate is lost. [n
// values]
void activate(const kernels::KernelSet& kernels, const FfnConfig& ffn, float* gate, float* up,
              std::size_t n);

}  // namespace switchyard::runtime
