#include "switchyard/model_config.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "switchyard/error.h"

#include "formats/model_config_check.h"
#include "routing/recurrent.h"

namespace switchyard {
namespace {

// Far beyond any model, and small enough that no sum below overflows.
constexpr double kMaxParameters = 1e15;

// Weights of one layer's parts. T is double where the sizes are not checked yet.
template <typename T>
struct LayerCounts {
  explicit LayerCounts(const ModelConfig& c) {
    const T d = c.width;
    const T q = T(c.heads) * T(c.head_dim);
    const T kv = T(c.kv_heads) * T(c.head_dim);
    attention = 2 * d * q + 2 * d * kv;
    norms = 2 * d;
    context = 2 * q;
    if (c.mla) {
      const MlaConfig& m = *c.mla;
      const T h = T(c.heads), rank = T(m.kv_rank), q_rank = T(m.q_rank);
      attention = (m.q_rank > 0 ? q_rank * (d + q) : d * q) + d * (rank + T(m.rope_dim)) +
                  rank * h * (T(m.nope_dim) + T(m.value_dim)) + h * T(m.value_dim) * d;
      norms += rank + q_rank;
      context = h * (2 * rank + T(m.rope_dim));
    }
    if (c.qk_norm == QkNorm::full) norms += q + kv;
    if (c.qk_norm == QkNorm::per_head) norms += 2 * T(c.head_dim);
    biases = c.attention_bias ? q + 2 * kv : T(0);
    if (c.attention_output_bias) biases += d;
    if (c.attention_sinks) biases += T(c.heads);
    dense = ffn(d, T(c.dense.hidden), c.dense.gated);
    if (c.moe) {
      expert = ffn(d, T(c.moe->expert.hidden), c.moe->expert.gated);
      for (int e = 0; e < c.moe->router.experts; ++e) {
        all_experts += ffn(d, T(c.moe->ffn(e).hidden), c.moe->expert.gated);
      }
      shared =
          ffn(d, T(c.moe->shared_hidden), c.moe->expert.gated) + (c.moe->shared_gate ? d : T(0));
      const routing::Config& r = c.moe->router;
      const T p = T(r.router_hidden);
      router = T(routing::router_width(r)) * T(routing::router_input_width(r, c.width)) + p * d;
      cell_matrices = T(routing::cell_gates(r)) * 2 * p * p;
      cell_biases = T(routing::cell_gates(r)) * 2 * p;
      const T outputs = T(routing::router_width(c.moe->router));
      router_bias =
          (c.moe->router.selection_bias ? outputs : T(0)) + (c.moe->router_bias ? outputs : T(0));
      if (c.moe->expert_bias) {
        expert_bias = T(c.moe->expert.gated ? 2 : 1) * T(c.moe->expert.hidden) + d;
      }
    }
  }

  static T ffn(T d, T hidden, bool gated) { return (gated ? 3 : 2) * d * hidden; }

  // `context`: multiply-adds of scores and values for each token that attention looks at. Latent
  // attention works on the latent vectors themselves.
  T attention = 0, context = 0, norms = 0, biases = 0, dense = 0, expert = 0, all_experts = 0,
    shared = 0, router = 0, router_bias = 0, expert_bias = 0;
  T cell_matrices = 0, cell_biases = 0;  // of all layers together
};

// Of one token's K choices, the share that falls on each expert, where something says it: the
// shares of random routing, the budget that a router is trained for. Else all alike.
std::vector<double> expected_shares(const routing::Config& router) {
  const auto experts = static_cast<std::size_t>(router.experts);
  const auto given = [&](const std::vector<float>& shares) {
    std::vector<double> out(shares.begin(), shares.end());
    const double rest = std::max(0.0, 1.0 - std::accumulate(out.begin(), out.end(), 0.0));
    const auto outputs =
        std::max(experts + static_cast<std::size_t>(router.null_experts), out.size());
    const auto known = out.size();
    out.resize(outputs, outputs > known ? rest / static_cast<double>(outputs - known) : 0.0);
    out.resize(experts);
    return out;
  };
  if (!router.probabilities.empty()) return given(router.probabilities);
  if (router.losses.budget_coefficient > 0 && router.experts_per_token == 1) {
    return given(router.losses.budget);
  }
  return std::vector<double>(experts, 1.0 / static_cast<double>(experts));
}

// Weights of the experts that one token uses in a layer: K, or what is expected where experts
// differ in width or shares are given.
std::uint64_t used_experts(const ModelConfig& c, const LayerCounts<std::uint64_t>& layer) {
  if (!c.moe) return 0;
  const routing::Config& router = c.moe->router;
  if (c.moe->expert_hidden.empty() && router.probabilities.empty()) {
    return static_cast<std::uint64_t>(router.experts_per_token) * layer.expert;
  }
  const auto shares = expected_shares(router);
  double sum = 0;
  for (int e = 0; e < router.experts; ++e) {
    sum += shares[static_cast<std::size_t>(e)] *
           LayerCounts<double>::ffn(c.width, c.moe->ffn(e).hidden, c.moe->expert.gated);
  }
  return static_cast<std::uint64_t>(std::llround(router.experts_per_token * sum));
}

template <typename T>
T total(const ModelConfig& c, const LayerCounts<T>& layer, T experts) {
  T sum = T(c.vocab) * T(c.width) * (c.tied_embeddings ? 1 : 2) + T(c.width);
  sum += layer.cell_matrices + layer.cell_biases;
  for (const bool moe : c.layer_is_moe) {
    sum += layer.attention + layer.norms + layer.biases;
    sum += moe ? experts + layer.shared + layer.router + layer.router_bias : layer.dense;
  }
  return sum;
}

}  // namespace

FfnConfig MoeConfig::ffn(int e) const {
  FfnConfig out = expert;
  if (!expert_hidden.empty()) out.hidden = expert_hidden[static_cast<std::size_t>(e)];
  return out;
}

std::uint64_t ModelConfig::parameters() const {
  const LayerCounts<std::uint64_t> layer(*this);
  const auto experts = static_cast<std::uint64_t>(moe ? moe->router.experts : 0);
  return total(*this, layer, layer.all_experts + experts * layer.expert_bias);
}

std::uint64_t ModelConfig::active_parameters() const {
  const LayerCounts<std::uint64_t> layer(*this);
  const auto chosen = static_cast<std::uint64_t>(moe ? moe->router.experts_per_token : 0);
  return total(*this, layer, used_experts(*this, layer) + chosen * layer.expert_bias);
}

std::uint64_t ModelConfig::expert_parameters() const {
  return LayerCounts<std::uint64_t>(*this).expert;
}

std::uint64_t ModelConfig::flops_per_token(int context_tokens) const {
  const LayerCounts<std::uint64_t> layer(*this);
  const auto chosen = used_experts(*this, layer);
  // The embedding is looked up, norms and biases are no matrix products; scores and values cost a
  // multiply-add for each cached token and each element of q.
  std::uint64_t multiply_adds =
      static_cast<std::uint64_t>(vocab) * static_cast<std::uint64_t>(width);
  for (int l = 0; l < layers; ++l) {
    const bool routed = layer_is_moe[static_cast<std::size_t>(l)];
    const int seen = window(l) > 0 ? std::min(window(l), context_tokens) : context_tokens;
    multiply_adds += layer.attention;
    multiply_adds += layer.context * static_cast<std::uint64_t>(seen);
    multiply_adds +=
        routed ? chosen + layer.shared + layer.router + layer.cell_matrices : layer.dense;
  }
  return 2 * multiply_adds;
}

std::uint64_t ModelConfig::moe_flops_per_token(int experts_per_token) const {
  const LayerCounts<std::uint64_t> layer(*this);
  const auto routed =
      static_cast<std::uint64_t>(std::count(layer_is_moe.begin(), layer_is_moe.end(), true));
  return 2 * routed *
         (static_cast<std::uint64_t>(experts_per_token) * layer.expert + layer.shared +
          layer.router + layer.cell_matrices);
}

int experts_for_flops(const ModelConfig& config, std::uint64_t budget) {
  const auto refuse = [](const std::string& what, const std::string& expected) {
    throw Error({.what = what, .where = "--flops-per-token", .expected = expected, .fix = {}});
  };
  if (!config.moe) refuse("the model has no experts to choose from", "a model with routed experts");
  const routing::Config& router = config.moe->router;
  int k = router.experts / router.groups * router.groups_per_token;
  while (k > 0 && config.moe_flops_per_token(k) > budget) --k;
  if (k == 0) {
    refuse("a budget of " + std::to_string(budget) + " is not enough for one expert a layer",
           "at least " + std::to_string(config.moe_flops_per_token(1)) +
               ": routers, one expert and shared experts of all MoE layers");
  }
  return k;
}

void validate(const ModelConfig& config) {
  check_model_config(config);
  const LayerCounts<double> layer(config);
  const double experts = config.moe ? config.moe->router.experts : 0;
  const double parameters = total(config, layer, layer.all_experts + experts * layer.expert_bias);
  if (parameters > kMaxParameters) {
    throw Error({.what = "the number of weights is " + std::to_string(parameters),
                 .where = "model config",
                 .expected = "at most 1e15",
                 .fix = {}});
  }
}

}  // namespace switchyard
