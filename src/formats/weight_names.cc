#include <array>
#include <string>

#include "switchyard/model_config.h"

#include "base/check.h"
#include "formats/family.h"

namespace switchyard {
namespace {

struct PartName {
  std::string_view part;
  std::string_view name;
};

// The same in every family.
constexpr std::array kLayerParts = {
    PartName{"input_norm", "input_layernorm.weight"},
    PartName{"post_norm", "post_attention_layernorm.weight"},
    PartName{"q", "self_attn.q_proj.weight"},
    PartName{"k", "self_attn.k_proj.weight"},
    PartName{"v", "self_attn.v_proj.weight"},
    PartName{"o", "self_attn.o_proj.weight"},
    PartName{"q_bias", "self_attn.q_proj.bias"},
    PartName{"k_bias", "self_attn.k_proj.bias"},
    PartName{"v_bias", "self_attn.v_proj.bias"},
    PartName{"o_bias", "self_attn.o_proj.bias"},
    PartName{"sinks", "self_attn.sinks"},
    PartName{"q_norm", "self_attn.q_norm.weight"},
    PartName{"k_norm", "self_attn.k_norm.weight"},
    PartName{"q_a", "self_attn.q_a_proj.weight"},
    PartName{"q_a_norm", "self_attn.q_a_layernorm.weight"},
    PartName{"q_b", "self_attn.q_b_proj.weight"},
    PartName{"kv_a", "self_attn.kv_a_proj_with_mqa.weight"},
    PartName{"kv_a_norm", "self_attn.kv_a_layernorm.weight"},
    PartName{"kv_b", "self_attn.kv_b_proj.weight"},
    PartName{"k_b", "self_attn.k_b_proj.weight"},
    PartName{"v_b", "self_attn.v_b_proj.weight"},
};

constexpr std::array kProjections = {
    PartName{"gate", "gate_proj.weight"}, PartName{"up", "up_proj.weight"},
    PartName{"down", "down_proj.weight"}, PartName{"gate_bias", "gate_proj.bias"},
    PartName{"up_bias", "up_proj.bias"},  PartName{"down_bias", "down_proj.bias"},
};

// Mixtral keeps the names of its first release: w1 is the gate, w3 goes up, w2 goes down.
constexpr std::array kMixtralProjections = {
    PartName{"gate", "w1.weight"},  PartName{"up", "w3.weight"},
    PartName{"down", "w2.weight"},  PartName{"gate_bias", "w1.bias"},
    PartName{"up_bias", "w3.bias"}, PartName{"down_bias", "w2.bias"},
};

template <std::size_t n>
std::string_view lookup(const std::array<PartName, n>& table, std::string_view part) {
  for (const PartName& entry : table) {
    if (entry.part == part) return entry.name;
  }
  check_failed("the part of a layer is in the table", __FILE__, __LINE__);
}

std::string in_layer(int l, std::string_view rest) {
  return "model.layers." + std::to_string(l) + "." + std::string(rest);
}

std::string_view moe_block(Family family) {
  return family == Family::mixtral ? "block_sparse_moe." : "mlp.";
}

}  // namespace

std::string WeightNames::embedding() const { return "model.embed_tokens.weight"; }
std::string WeightNames::final_norm() const { return "model.norm.weight"; }
std::string WeightNames::output() const { return "lm_head.weight"; }

std::string WeightNames::layer(int l, std::string_view part) const {
  return in_layer(l, lookup(kLayerParts, part));
}

std::string WeightNames::dense(int l, std::string_view part) const {
  return in_layer(l, "mlp.").append(lookup(kProjections, part));
}

std::string WeightNames::expert(int l, int e, std::string_view part) const {
  return in_layer(l, moe_block(family_))
      .append("experts.")
      .append(std::to_string(e))
      .append(".")
      .append(family_ == Family::mixtral ? lookup(kMixtralProjections, part)
                                         : lookup(kProjections, part));
}

std::string WeightNames::merged_experts(int l, std::string_view name) const {
  return in_layer(l, moe_block(family_)).append("experts.").append(name);
}

std::string WeightNames::shared_expert(int l, std::string_view part) const {
  return in_layer(l, moe_block(family_))
      .append(traits(family_).shared_name)
      .append(lookup(kProjections, part));
}

std::string WeightNames::shared_gate(int l) const {
  return in_layer(l, moe_block(family_)).append("shared_expert_gate.weight");
}

std::string WeightNames::router(int l) const {
  return in_layer(l, moe_block(family_)).append(traits(family_).router_name).append(".weight");
}

std::string WeightNames::router_bias(int l) const {
  return in_layer(l, moe_block(family_)).append(traits(family_).router_name).append(".bias");
}

std::string WeightNames::router_projection(int l) const {
  return in_layer(l, moe_block(family_)).append("gate.projection.weight");
}

std::string WeightNames::router_cell(std::string_view part) const {
  return "model.rnn_router." + std::string(part);
}

std::string WeightNames::selection_bias(int l) const {
  return in_layer(l, moe_block(family_)).append("gate.e_score_correction_bias");
}

}  // namespace switchyard
