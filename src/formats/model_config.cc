#include "switchyard/model_config.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "switchyard/error.h"

#include "formats/family.h"
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
    if (c.qk_norm == QkNorm::full) norms += q + kv;
    if (c.qk_norm == QkNorm::per_head) norms += 2 * T(c.head_dim);
    biases = c.attention_bias ? q + 2 * kv : T(0);
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
      router_bias = c.moe->router.selection_bias ? T(routing::router_width(c.moe->router)) : T(0);
    }
  }

  static T ffn(T d, T hidden, bool gated) { return (gated ? 3 : 2) * d * hidden; }

  T attention = 0, norms = 0, biases = 0, dense = 0, expert = 0, all_experts = 0, shared = 0,
    router = 0, router_bias = 0;
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

[[noreturn]] void fail(std::string_view field, const std::string& value,
                       const std::string& expected, const std::string& fix = {}) {
  throw Error({.what = std::string(field) + " is " + value,
               .where = "model config",
               .expected = expected,
               .fix = fix});
}

void check_range(std::string_view field, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value < low || value > high) {
    fail(field, std::to_string(value),
         "from " + std::to_string(low) + " to " + std::to_string(high));
  }
}

void check_positive(std::string_view field, float value) {
  if (!std::isfinite(value) || value <= 0)
    fail(field, std::to_string(value), "a finite number above 0");
}

void check_sizes(const ModelConfig& c) {
  check_range("vocab", c.vocab, 1, 1 << 28);
  check_range("width", c.width, 1, 1 << 20);
  check_range("layers", c.layers, 1, 1 << 14);
  check_range("heads", c.heads, 1, 1 << 14);
  check_range("kv_heads", c.kv_heads, 1, c.heads);
  if (c.heads % c.kv_heads != 0) {
    fail("kv_heads", std::to_string(c.kv_heads),
         "a divisor of the " + std::to_string(c.heads) + " heads");
  }
  check_range("head_dim", c.head_dim, 2, 1 << 14);
  if (c.head_dim % 2 != 0)
    fail("head_dim", std::to_string(c.head_dim), "an even number, as RoPE turns pairs");
  check_range("context", c.context, 1, 1 << 30);
  check_positive("norm_epsilon", c.norm_epsilon);
  check_positive("rope_theta", c.rope_theta);
  if (c.layer_is_moe.size() != static_cast<std::size_t>(c.layers)) {
    fail("layer_is_moe", "of length " + std::to_string(c.layer_is_moe.size()),
         "one entry for each of the " + std::to_string(c.layers) + " layers");
  }
  for (const std::int32_t id : c.eos) check_range("eos", id, 0, INT32_MAX);
  if (c.bos) check_range("bos", *c.bos, 0, INT32_MAX);
}

void check_expert_widths(const MoeConfig& moe) {
  if (moe.expert_hidden.empty()) return;
  if (moe.expert_hidden.size() != static_cast<std::size_t>(moe.router.experts)) {
    fail("moe.expert_hidden", std::to_string(moe.expert_hidden.size()) + " widths",
         std::to_string(moe.router.experts) + ", one an expert, or none");
  }
  for (const int hidden : moe.expert_hidden) check_range("moe.expert_hidden", hidden, 1, 1 << 24);
  const int largest = *std::max_element(moe.expert_hidden.begin(), moe.expert_hidden.end());
  if (moe.expert.hidden != largest) {
    fail("moe.expert.hidden", std::to_string(moe.expert.hidden),
         std::to_string(largest) + ", the largest of moe.expert_hidden");
  }
}

void check_ffn(const ModelConfig& c) {
  const auto moe_layers = std::count(c.layer_is_moe.begin(), c.layer_is_moe.end(), true);
  if (moe_layers < c.layers) check_range("dense.hidden", c.dense.hidden, 1, 1 << 24);
  if (c.moe.has_value() != (moe_layers > 0)) {
    fail("layer_is_moe", "true for " + std::to_string(moe_layers) + " layers",
         c.moe ? "at least one layer with experts"
               : "no layer with experts, as the config describes none");
  }
  if (!c.moe) return;
  check_expert_widths(*c.moe);
  check_range("moe.expert.hidden", c.moe->expert.hidden, 1, 1 << 24);
  check_range("moe.router.experts", c.moe->router.experts, 1, 1 << 16);
  check_range("moe.shared_hidden", c.moe->shared_hidden, 0, 1 << 24);
  if (c.moe->shared_gate && c.moe->shared_hidden == 0) {
    fail("moe.shared_gate", "true", "false, as there is no shared expert");
  }
  routing::validate(c.moe->router);
}

// The router a family's own fields describe, up to what does not change the output of the model.
bool same_output(routing::Config router, const FamilyTraits& t) {
  if (router.score == routing::Score::softmax && router.softmax_after_selection) {
    // Softmax over the chosen logits is softmax over all of them, divided by the chosen ones' sum.
    router.softmax_after_selection = false;
    router.renormalize = true;
  }
  routing::Config plain;
  plain.experts = router.experts;
  plain.experts_per_token = router.experts_per_token;
  plain.renormalize = t.norm_topk_field ? router.renormalize : true;
  plain.losses = router.losses;
  plain.frozen = router.frozen;
  plain.seed = router.seed;
  return router == plain;
}

void check_family(const ModelConfig& c) {
  if (c.family == Family::switchyard) return;
  const FamilyTraits& t = traits(c.family);
  const std::string name(t.model_type);
  const std::string fix = "use family switchyard, which can say everything";
  const auto require = [&](bool holds, std::string_view field, const std::string& value,
                           const std::string& expected) {
    if (!holds) fail(field, value, expected + " in family " + name, fix);
  };
  require(t.kind != FamilyKind::dense || !c.moe, "moe", "set", "no experts");
  require(t.kind != FamilyKind::all_moe ||
              std::count(c.layer_is_moe.begin(), c.layer_is_moe.end(), false) == 0,
          "layer_is_moe", "false for some layers", "experts in every layer");
  require(c.qk_norm == t.qk_norm, "qk_norm", "another than the family's",
          t.qk_norm == QkNorm::none   ? "none"
          : t.qk_norm == QkNorm::full ? "full"
                                      : "per_head");
  require(!t.bias || c.attention_bias == *t.bias, "attention_bias",
          c.attention_bias ? "true" : "false", t.bias == true ? "true" : "false");
  require(c.dense.gated && (!c.moe || c.moe->expert.gated), "gated", "false", "true");
  if (!c.moe) return;
  require(c.moe->expert_hidden.empty(), "moe.expert_hidden", "set", "experts of one width");
  require(c.dense.hidden == 0 || c.dense.activation == c.moe->expert.activation,
          "moe.expert.activation", std::string(activation_name(c.moe->expert.activation)),
          "the activation of the dense layers");
  const bool shared = t.shared_hidden > 0;
  require(shared == (c.moe->shared_hidden > 0), "moe.shared_hidden",
          std::to_string(c.moe->shared_hidden), shared ? "a shared expert" : "0");
  require(shared == c.moe->shared_gate, "moe.shared_gate", c.moe->shared_gate ? "true" : "false",
          shared ? "true" : "false");
  require(
      same_output(c.moe->router, t), "moe.router", "more than the family's fields can say",
      t.norm_topk_field ? "plain softmax top-k" : "plain softmax top-k with renormalised weights");
}

}  // namespace

FfnConfig MoeConfig::ffn(int e) const {
  FfnConfig out = expert;
  if (!expert_hidden.empty()) out.hidden = expert_hidden[static_cast<std::size_t>(e)];
  return out;
}

std::uint64_t ModelConfig::parameters() const {
  const LayerCounts<std::uint64_t> layer(*this);
  return total(*this, layer, layer.all_experts);
}

std::uint64_t ModelConfig::active_parameters() const {
  const LayerCounts<std::uint64_t> layer(*this);
  return total(*this, layer, used_experts(*this, layer));
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
  for (const bool routed : layer_is_moe) {
    multiply_adds += layer.attention;
    multiply_adds +=
        2 * static_cast<std::uint64_t>(context_tokens) * static_cast<std::uint64_t>(q_width());
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
  check_sizes(config);
  check_ffn(config);
  check_family(config);
  const LayerCounts<double> layer(config);
  const double parameters = total(config, layer, layer.all_experts);
  if (parameters > kMaxParameters) {
    fail("the number of weights", std::to_string(parameters), "at most 1e15");
  }
}

}  // namespace switchyard
