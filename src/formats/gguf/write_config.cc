// ModelConfig -> metadata.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "formats/family.h"
#include "formats/gguf/architecture.h"
#include "formats/gguf/gguf_model.h"
#include "formats/gguf/rope_keys.h"

namespace switchyard {
namespace {

using Entries = std::vector<std::pair<std::string, GgufValue>>;

std::uint32_t u32(int value) { return static_cast<std::uint32_t>(value); }

// What ends a text: the key that every program reads, and all of them where there are several.
void add_special_tokens(const ModelConfig& config, Entries& out) {
  if (config.bos) out.emplace_back("tokenizer.ggml.bos_token_id", u32(*config.bos));
  if (!config.eos.empty()) out.emplace_back("tokenizer.ggml.eos_token_id", u32(config.eos.front()));
  if (config.eos.size() > 1) out.emplace_back(kEosKey, GgufArray{config.eos});
}

void add_attention(const ModelConfig& config, const GgufArchitecture& row, Entries& out) {
  out.emplace_back(row.key("attention.head_count"), u32(config.heads));
  out.emplace_back(row.key("attention.head_count_kv"), u32(config.kv_heads));
  out.emplace_back(row.key("attention.key_length"), u32(config.head_dim));
  out.emplace_back(row.key("attention.value_length"),
                   u32(config.mla ? config.mla->value_dim : config.head_dim));
  out.emplace_back(row.key("attention.layer_norm_rms_epsilon"), config.norm_epsilon);
  if (config.sliding_window > 0) {
    out.emplace_back(row.key("attention.sliding_window"), u32(config.sliding_window));
  }
  if (!config.mla) return;
  out.emplace_back(row.key("attention.kv_lora_rank"), u32(config.mla->kv_rank));
  if (config.mla->q_rank > 0) {
    out.emplace_back(row.key("attention.q_lora_rank"), u32(config.mla->q_rank));
  }
}

void add_experts(const ModelConfig& config, const GgufArchitecture& row, Entries& out) {
  const MoeConfig& moe = *config.moe;
  const FamilyTraits& t = traits(config.family);
  out.emplace_back(row.key("expert_count"), u32(moe.router.experts));
  out.emplace_back(row.key("expert_used_count"), u32(moe.router.experts_per_token));
  if (row.expert_width != "feed_forward_length") {
    out.emplace_back(row.key(row.expert_width), u32(moe.expert.hidden));
  }
  if (t.shared_experts > 0) {
    out.emplace_back(row.key("expert_shared_count"), u32(moe.shared_hidden / moe.expert.hidden));
  } else if (moe.shared_hidden > 0) {
    out.emplace_back(row.key("expert_shared_feed_forward_length"), u32(moe.shared_hidden));
  }
  // What the keys below say; the rest changes no output.
  const routing::Config said = t.router->nearest(moe.router);
  out.emplace_back(row.key("expert_gating_func"), static_cast<std::uint32_t>(row.gating));
  out.emplace_back(row.key("expert_weights_norm"), said.renormalize);
  if (row.router_keys) {
    const auto first = std::find(config.layer_is_moe.begin(), config.layer_is_moe.end(), true);
    out.emplace_back(row.key("leading_dense_block_count"),
                     static_cast<std::uint32_t>(first - config.layer_is_moe.begin()));
    out.emplace_back(row.key("expert_weights_scale"), said.scaling_factor);
    if (said.groups > 1) {
      out.emplace_back(row.key("expert_group_count"), u32(said.groups));
      out.emplace_back(row.key("expert_group_used_count"), u32(said.groups_per_token));
    }
  }
  if (moe.router != said) out.emplace_back(kRouterKey, routing::to_json(moe.router).dump());
  if (moe.fewest_experts_in_training > 0) {
    out.emplace_back(kFewestKey, u32(moe.fewest_experts_in_training));
  }
}

}  // namespace

std::vector<std::pair<std::string, GgufValue>> gguf_metadata_of(const ModelConfig& config) {
  validate(config);
  Entries out;
  const GgufArchitecture* row = architecture_for(config);
  out.emplace_back("general.architecture",
                   std::string(row == nullptr ? kOwnArchitecture : row->name));
  out.emplace_back("general.type", std::string("model"));
  if (row == nullptr) {
    out.emplace_back(kConfigKey, to_json(config).dump());
    add_special_tokens(config, out);
    return out;
  }
  out.emplace_back(row->key("block_count"), u32(config.layers));
  out.emplace_back(row->key("context_length"), u32(config.context));
  out.emplace_back(row->key("embedding_length"), u32(config.width));
  const bool all_moe = traits(config.family).kind == FamilyKind::all_moe;
  out.emplace_back(row->key("feed_forward_length"),
                   u32(all_moe ? config.moe->expert.hidden : config.dense.hidden));
  add_attention(config, *row, out);
  add_gguf_rope(config, *row, out);
  out.emplace_back(row->key("vocab_size"), u32(config.vocab));
  if (config.moe) add_experts(config, *row, out);
  if (config.extra_layers > 0) out.emplace_back(kExtraLayersKey, u32(config.extra_layers));
  // What a reader without the key would take the file for.
  const GgufArchitecture* read_as =
      find_gguf_architecture(row->name, config.moe.has_value(), row->gating);
  if (read_as->family != config.family) {
    out.emplace_back(kFamilyKey, std::string(family_name(config.family)));
  }
  add_special_tokens(config, out);
  return out;
}

}  // namespace switchyard
