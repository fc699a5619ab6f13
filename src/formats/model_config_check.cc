#include "formats/model_config_check.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "switchyard/error.h"

#include "formats/family.h"
#include "formats/rope_scaling.h"

namespace switchyard {
namespace {

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

void check_mla(const ModelConfig& c) {
  const MlaConfig& m = *c.mla;
  check_range("mla.q_rank", m.q_rank, 0, 1 << 20);
  check_range("mla.kv_rank", m.kv_rank, 1, 1 << 20);
  check_range("mla.nope_dim", m.nope_dim, 1, 1 << 13);
  check_range("mla.rope_dim", m.rope_dim, 2, 1 << 13);
  check_range("mla.value_dim", m.value_dim, 1, 1 << 14);
  if (m.rope_dim % 2 != 0)
    fail("mla.rope_dim", std::to_string(m.rope_dim), "an even number, as RoPE turns pairs");
  if (c.head_dim != m.nope_dim + m.rope_dim) {
    fail("head_dim", std::to_string(c.head_dim),
         std::to_string(m.nope_dim + m.rope_dim) + ", mla.nope_dim and mla.rope_dim together");
  }
  if (c.kv_heads != c.heads) {
    fail("kv_heads", std::to_string(c.kv_heads),
         std::to_string(c.heads) + " with latent attention, which gives every head its own key");
  }
  if (c.qk_norm != QkNorm::none) fail("qk_norm", "set", "none with latent attention");
  if (c.attention_bias) fail("attention_bias", "true", "false with latent attention");
  if (c.attention_output_bias) fail("attention_output_bias", "true", "false with latent attention");
  if (c.attention_sinks) fail("attention_sinks", "true", "false with latent attention");
  if (c.sliding_window != 0)
    fail("sliding_window", std::to_string(c.sliding_window), "none with latent attention");
}

void check_window(const ModelConfig& c) {
  check_range("sliding_window", c.sliding_window, 0, 1 << 30);
  const auto windowed = std::count(c.layer_is_windowed.begin(), c.layer_is_windowed.end(), true);
  const std::size_t entries = c.sliding_window > 0 ? static_cast<std::size_t>(c.layers) : 0;
  if (c.layer_is_windowed.size() != entries || (windowed > 0) != (c.sliding_window > 0)) {
    fail("layer_is_windowed",
         "true for " + std::to_string(windowed) + " of " +
             std::to_string(c.layer_is_windowed.size()) + " layers",
         c.sliding_window > 0 ? "one entry for each of the " + std::to_string(c.layers) +
                                    " layers, at least one of them true"
                              : "no entries without a sliding_window");
  }
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
  if (c.mla) {
    check_mla(c);
  } else if (c.head_dim % 2 != 0) {
    fail("head_dim", std::to_string(c.head_dim), "an even number, as RoPE turns pairs");
  }
  check_range("context", c.context, 1, 1 << 30);
  check_positive("norm_epsilon", c.norm_epsilon);
  check_positive("rope_theta", c.rope_theta);
  validate_rope_scaling(c.rope_scaling, c.rope_theta);
  check_window(c);
  check_range("extra_layers", c.extra_layers, 0, 1 << 10);
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

void check_clamped(std::string_view field, const FfnConfig& ffn) {
  if (!ffn.clamped || (ffn.gated && ffn.activation == Activation::silu)) return;
  fail(field, "true", "false, or a gated network with silu");
}

void check_ffn(const ModelConfig& c) {
  check_clamped("dense.clamped", c.dense);
  const auto moe_layers = std::count(c.layer_is_moe.begin(), c.layer_is_moe.end(), true);
  if (moe_layers < c.layers) check_range("dense.hidden", c.dense.hidden, 1, 1 << 24);
  if (c.moe.has_value() != (moe_layers > 0)) {
    fail("layer_is_moe", "true for " + std::to_string(moe_layers) + " layers",
         c.moe ? "at least one layer with experts"
               : "no layer with experts, as the config describes none");
  }
  if (!c.moe) return;
  check_clamped("moe.expert.clamped", c.moe->expert);
  if (c.moe->expert_bias && (!c.moe->expert_hidden.empty() || c.moe->expert.hidden < 1)) {
    fail("moe.expert_bias", "true", "false where experts differ in width");
  }
  if (c.moe->router_bias && routing::router_width(c.moe->router) == 0) {
    fail("moe.router_bias", "true", "false, as the router has no weights");
  }
  check_expert_widths(*c.moe);
  check_range("moe.expert.hidden", c.moe->expert.hidden, 1, 1 << 24);
  check_range("moe.router.experts", c.moe->router.experts, 1, 1 << 16);
  check_range("moe.shared_hidden", c.moe->shared_hidden, 0, 1 << 24);
  if (c.moe->shared_gate && c.moe->shared_hidden == 0) {
    fail("moe.shared_gate", "true", "false, as there is no shared expert");
  }
  routing::validate(c.moe->router);
}

// Whether the family's own fields describe this router, up to what does not change the output of
// the model.
bool same_output(routing::Config router, const FamilyTraits& t) {
  routing::Config said = t.router->nearest(router);
  if (router.score == routing::Score::softmax && router.softmax_after_selection) {
    // Softmax over the chosen logits is softmax over all of them, divided by the chosen ones' sum.
    router.softmax_after_selection = false;
    router.renormalize = true;
  }
  said.losses = router.losses;
  said.frozen = router.frozen;
  said.seed = router.seed;
  return router == said;
}

bool windows_fit(const ModelConfig& c, WindowRule rule) {
  if (c.sliding_window == 0) return true;
  if (rule == WindowRule::upper_layers || rule == WindowRule::listed ||
      rule == WindowRule::alternating) {
    return true;
  }
  return rule != WindowRule::none &&
         std::count(c.layer_is_windowed.begin(), c.layer_is_windowed.end(), false) == 0;
}

bool shared_fits(const MoeConfig& moe, const FamilyTraits& t) {
  if (t.shared_hidden > 0) return moe.shared_hidden > 0 && moe.shared_gate;
  if (t.shared_experts > 0) return moe.shared_hidden % moe.expert.hidden == 0 && !moe.shared_gate;
  return moe.shared_hidden == 0;
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
  require(t.kind != FamilyKind::leading_moe || as_leading_moe(c.layer_is_moe), "layer_is_moe",
          "irregular", "experts in every layer, or every so many layers, from one on");
  require(c.mla.has_value() == (t.mla != nullptr), "mla", c.mla ? "set" : "not set",
          t.mla != nullptr ? "latent attention" : "none");
  require(windows_fit(c, t.window), "sliding_window", std::to_string(c.sliding_window),
          t.window == WindowRule::none ? "none" : "a window in every layer, or none");
  require(c.extra_layers == 0 || !t.extra_layers_field.empty(), "extra_layers",
          std::to_string(c.extra_layers), "0");
  require(c.qk_norm == t.qk_norm, "qk_norm", "another than the family's",
          t.qk_norm == QkNorm::none   ? "none"
          : t.qk_norm == QkNorm::full ? "full"
                                      : "per_head");
  require(!t.bias || c.attention_bias == *t.bias, "attention_bias",
          c.attention_bias ? "true" : "false", t.bias == true ? "true" : "false");
  const auto require_same = [&](bool value, bool expected, std::string_view field) {
    require(value == expected, field, value ? "true" : "false", expected ? "true" : "false");
  };
  require_same(c.attention_output_bias, t.output_bias, "attention_output_bias");
  require_same(c.attention_sinks, t.sinks, "attention_sinks");
  require_same(c.dense.clamped, false, "dense.clamped");
  require(c.dense.gated && (!c.moe || c.moe->expert.gated), "gated", "false", "true");
  if (!c.moe) return;
  require_same(c.moe->router_bias, t.router_bias, "moe.router_bias");
  require_same(c.moe->expert_bias, t.expert_bias, "moe.expert_bias");
  require_same(c.moe->expert.clamped, t.clamped, "moe.expert.clamped");
  require(c.moe->expert_hidden.empty(), "moe.expert_hidden", "set", "experts of one width");
  require(c.dense.hidden == 0 || c.dense.activation == c.moe->expert.activation,
          "moe.expert.activation", std::string(activation_name(c.moe->expert.activation)),
          "the activation of the dense layers");
  require(shared_fits(*c.moe, t), "moe.shared_hidden or moe.shared_gate",
          std::to_string(c.moe->shared_hidden) + (c.moe->shared_gate ? " with a gate" : ""),
          t.shared_hidden > 0    ? "a shared expert with a gate"
          : t.shared_experts > 0 ? "a multiple of moe.expert.hidden, without a gate"
                                 : "no shared expert");
  require(same_output(c.moe->router, t), "moe.router", "more than the family's fields can say",
          std::string(t.router->what));
}

}  // namespace

void check_model_config(const ModelConfig& config) {
  check_sizes(config);
  check_ffn(config);
  check_family(config);
}

}  // namespace switchyard
