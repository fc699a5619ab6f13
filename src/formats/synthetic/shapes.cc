#include "formats/synthetic/shapes.h"

#include <array>
#include <nlohmann/json.hpp>

#include "switchyard/error.h"

#include "formats/family.h"

namespace switchyard {
namespace {

using nlohmann::json;

constexpr std::array kShapes = {
    // ---- small: a few million weights, rows that every quantised type fits --------------------
    SyntheticShape{"tiny", Family::llama, R"({
      "vocab_size": 2048, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
      "num_key_value_heads": 2, "intermediate_size": 512, "max_position_embeddings": 2048})"},
    SyntheticShape{"tiny", Family::mistral, R"({
      "vocab_size": 2048, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
      "num_key_value_heads": 2, "intermediate_size": 512, "max_position_embeddings": 2048,
      "sliding_window": 256})"},
    SyntheticShape{"tiny", Family::qwen2, R"({
      "vocab_size": 2048, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
      "num_key_value_heads": 2, "intermediate_size": 512, "max_position_embeddings": 2048,
      "tie_word_embeddings": true})"},
    SyntheticShape{"tiny", Family::qwen3, R"({
      "vocab_size": 2048, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
      "num_key_value_heads": 2, "head_dim": 64, "intermediate_size": 512,
      "max_position_embeddings": 2048, "tie_word_embeddings": true})"},
    SyntheticShape{"tiny", Family::mixtral, R"({
      "vocab_size": 2048, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
      "num_key_value_heads": 2, "intermediate_size": 256, "num_local_experts": 8,
      "num_experts_per_tok": 2, "max_position_embeddings": 2048})"},
    SyntheticShape{"tiny", Family::olmoe, R"({
      "vocab_size": 2048, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
      "intermediate_size": 256, "num_experts": 16, "num_experts_per_tok": 4,
      "max_position_embeddings": 2048})"},
    SyntheticShape{"tiny", Family::qwen2_moe, R"({
      "vocab_size": 2048, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
      "num_key_value_heads": 4, "intermediate_size": 512, "moe_intermediate_size": 256,
      "shared_expert_intermediate_size": 512, "num_experts": 16, "num_experts_per_tok": 4,
      "max_position_embeddings": 2048})"},
    SyntheticShape{"tiny", Family::qwen3_moe, R"({
      "vocab_size": 2048, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
      "num_key_value_heads": 2, "head_dim": 64, "intermediate_size": 512,
      "moe_intermediate_size": 256, "num_experts": 16, "num_experts_per_tok": 4,
      "norm_topk_prob": true, "max_position_embeddings": 2048})"},
    SyntheticShape{"tiny", Family::deepseek_v2, R"({
      "vocab_size": 2048, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
      "num_key_value_heads": null, "q_lora_rank": null, "kv_lora_rank": 128,
      "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": 64, "intermediate_size": 512,
      "moe_intermediate_size": 256, "n_routed_experts": 16, "n_shared_experts": 2,
      "num_experts_per_tok": 4, "first_k_dense_replace": 1, "max_position_embeddings": 2048})"},
    SyntheticShape{"tiny", Family::deepseek_v3, R"({
      "vocab_size": 2048, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
      "num_key_value_heads": null, "q_lora_rank": 128, "kv_lora_rank": 128,
      "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": 64, "intermediate_size": 512,
      "moe_intermediate_size": 256, "n_routed_experts": 16, "n_shared_experts": 1,
      "num_experts_per_tok": 4, "n_group": 4, "topk_group": 2, "first_k_dense_replace": 1,
      "max_position_embeddings": 2048})"},
    SyntheticShape{"tiny", Family::gpt_oss, R"({
      "vocab_size": 2048, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
      "num_key_value_heads": 2, "head_dim": 64, "intermediate_size": 256, "num_local_experts": 16,
      "num_experts_per_tok": 4, "max_position_embeddings": 2048})"},
    SyntheticShape{"tiny", Family::switchyard, R"({
      "vocab_size": 2048, "hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
      "num_key_value_heads": 2, "head_dim": 64, "max_position_embeddings": 2048,
      "switchyard": {
        "dense": {"hidden": 512, "activation": "silu", "gated": true},
        "expert": {"hidden": 256, "activation": "gelu", "gated": false},
        "moe_layers": [1, 2, 3], "shared_hidden": 256,
        "router": {"kind": "top_k", "experts": 16, "experts_per_token": 4, "score": "sigmoid",
                   "selection_bias": true}}})"},

    // ---- published ------------------------------------------------------------------------------
    SyntheticShape{"olmoe-1b-7b", Family::olmoe, R"({
      "vocab_size": 50304, "hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 16,
      "intermediate_size": 1024, "num_experts": 64, "num_experts_per_tok": 8,
      "max_position_embeddings": 4096})"},
    SyntheticShape{"mixtral-8x7b", Family::mixtral, R"({
      "vocab_size": 32000, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
      "num_key_value_heads": 8, "intermediate_size": 14336, "num_local_experts": 8,
      "num_experts_per_tok": 2, "max_position_embeddings": 32768, "rope_theta": 1e6})"},
    SyntheticShape{"qwen1.5-moe-a2.7b", Family::qwen2_moe, R"({
      "vocab_size": 151936, "hidden_size": 2048, "num_hidden_layers": 24,
      "num_attention_heads": 16, "num_key_value_heads": 16, "intermediate_size": 5632,
      "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632, "num_experts": 60,
      "num_experts_per_tok": 4, "max_position_embeddings": 8192, "rope_theta": 1e6})"},
    SyntheticShape{"qwen3-30b-a3b", Family::qwen3_moe, R"({
      "vocab_size": 151936, "hidden_size": 2048, "num_hidden_layers": 48,
      "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
      "intermediate_size": 6144, "moe_intermediate_size": 768, "num_experts": 128,
      "num_experts_per_tok": 8, "norm_topk_prob": true, "max_position_embeddings": 40960,
      "rope_theta": 1e6})"},
    SyntheticShape{"deepseek-v2-lite", Family::deepseek_v2, R"({
      "vocab_size": 102400, "hidden_size": 2048, "num_hidden_layers": 27,
      "num_attention_heads": 16, "num_key_value_heads": null, "q_lora_rank": null,
      "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
      "intermediate_size": 10944, "moe_intermediate_size": 1408, "n_routed_experts": 64,
      "n_shared_experts": 2, "num_experts_per_tok": 6, "first_k_dense_replace": 1,
      "max_position_embeddings": 163840, "rope_scaling": {
        "type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32,
        "beta_slow": 1, "mscale": 0.707, "mscale_all_dim": 0.707}})"},
    SyntheticShape{"deepseek-v3", Family::deepseek_v3, R"({
      "vocab_size": 129280, "hidden_size": 7168, "num_hidden_layers": 61,
      "num_attention_heads": 128, "num_key_value_heads": null, "q_lora_rank": 1536,
      "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
      "intermediate_size": 18432, "moe_intermediate_size": 2048, "n_routed_experts": 256,
      "n_shared_experts": 1, "num_experts_per_tok": 8, "n_group": 8, "topk_group": 4,
      "first_k_dense_replace": 3, "max_position_embeddings": 163840, "rope_scaling": {
        "type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32,
        "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0}})"},
    SyntheticShape{"gpt-oss-20b", Family::gpt_oss, R"({
      "vocab_size": 201088, "hidden_size": 2880, "num_hidden_layers": 24,
      "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64,
      "intermediate_size": 2880, "num_local_experts": 32, "num_experts_per_tok": 4})"},
    SyntheticShape{"gpt-oss-120b", Family::gpt_oss, R"({
      "vocab_size": 201088, "hidden_size": 2880, "num_hidden_layers": 36,
      "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64,
      "intermediate_size": 2880, "num_local_experts": 128, "num_experts_per_tok": 4})"},
    SyntheticShape{"llama-3.2-1b", Family::llama, R"({
      "vocab_size": 128256, "hidden_size": 2048, "num_hidden_layers": 16,
      "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64,
      "intermediate_size": 8192, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5,
      "rope_theta": 5e5, "tie_word_embeddings": true, "rope_scaling": {
        "rope_type": "llama3", "factor": 32, "low_freq_factor": 1, "high_freq_factor": 4,
        "original_max_position_embeddings": 8192}})"},
    SyntheticShape{"llama-3.1-8b", Family::llama, R"({
      "vocab_size": 128256, "hidden_size": 4096, "num_hidden_layers": 32,
      "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
      "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 5e5,
      "rope_scaling": {
        "rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
        "original_max_position_embeddings": 8192}})"},
    SyntheticShape{"mistral-7b", Family::mistral, R"({
      "vocab_size": 32768, "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
      "num_key_value_heads": 8, "intermediate_size": 14336, "max_position_embeddings": 32768,
      "rms_norm_eps": 1e-5, "rope_theta": 1e6, "sliding_window": null})"},
    SyntheticShape{"qwen2.5-0.5b", Family::qwen2, R"({
      "vocab_size": 151936, "hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14,
      "num_key_value_heads": 2, "intermediate_size": 4864, "max_position_embeddings": 32768,
      "rope_theta": 1e6, "tie_word_embeddings": true})"},
    SyntheticShape{"qwen3-8b", Family::qwen3, R"({
      "vocab_size": 151936, "hidden_size": 4096, "num_hidden_layers": 36,
      "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
      "intermediate_size": 12288, "max_position_embeddings": 40960, "rope_theta": 1e6})"},
};

// Where config.json says how many experts there are, how many a token gets, how wide they are.
struct ExpertFields {
  json::json_pointer experts, per_token, hidden;
};

// "switchyard.router.experts" -> /switchyard/router/experts
json::json_pointer pointer(std::string_view field) {
  std::string path = "/" + std::string(field);
  for (char& c : path) {
    if (c == '.') c = '/';
  }
  return json::json_pointer(path);
}

ExpertFields expert_fields(const FamilyTraits& family) {
  const bool own = family.family == Family::switchyard;
  return {.experts = pointer(family.experts_field),
          .per_token = pointer(own ? "switchyard.router.experts_per_token" : "num_experts_per_tok"),
          .hidden = pointer(family.expert_hidden_field)};
}

[[noreturn]] void fail_family(const FamilyTraits& family, const std::string& what,
                              const std::string& fix) {
  throw Error({.what = "family " + std::string(family.model_type) + " has no " + what,
               .where = "shape",
               .expected = {},
               .fix = fix});
}

void change_experts(const FamilyTraits& family, const ShapeChanges& changes, json& fields) {
  if (family.kind == FamilyKind::dense) {
    if (changes.experts || changes.experts_per_token) {
      fail_family(family, "experts", "choose a family with experts, such as olmoe");
    }
    if (changes.hidden) fields["intermediate_size"] = *changes.hidden;
  } else {
    const ExpertFields at = expert_fields(family);
    if (changes.experts) fields[at.experts] = *changes.experts;
    if (changes.experts_per_token) fields[at.per_token] = *changes.experts_per_token;
    if (changes.hidden) fields[at.hidden] = *changes.hidden;
  }
  if (!changes.shared_experts) return;
  const int count = *changes.shared_experts;
  if (family.shared_experts > 0) {
    fields["n_shared_experts"] = count;
  } else if (family.shared_hidden > 0 || family.family == Family::switchyard) {
    const std::int64_t hidden = fields.at(expert_fields(family).hidden);
    fields[pointer(family.shared_hidden > 0 ? "shared_expert_intermediate_size"
                                            : "switchyard.shared_hidden")] = count * hidden;
  } else {
    fail_family(family, "shared experts", "leave --shared-experts out");
  }
}

}  // namespace

std::span<const SyntheticShape> synthetic_shapes() { return kShapes; }

const SyntheticShape& find_synthetic_shape(std::string_view name, std::optional<Family> family) {
  if (!family && name == kTinyShape) family = Family::olmoe;
  const SyntheticShape* other = nullptr;
  for (const SyntheticShape& shape : kShapes) {
    if (shape.name != name) continue;
    if (!family || shape.family == *family) return shape;
    other = &shape;
  }
  if (other != nullptr) {
    throw Error({.what = "shape " + std::string(name) + " is of family " +
                         std::string(family_name(other->family)),
                 .where = "--family " + std::string(family_name(*family)),
                 .expected = "the family of the shape",
                 .fix = "leave --family out, or choose another --shape"});
  }
  std::string known(kTinyShape);
  for (const SyntheticShape& shape : kShapes) {
    if (shape.name != kTinyShape) known.append(", ").append(shape.name);
  }
  throw Error({.what = "there is no shape '" + std::string(name) + "'",
               .where = "--shape",
               .expected = "one of " + known,
               .fix = "choose the nearest, and change it with --layers, --width and so on"});
}

ModelConfig synthetic_config(const SyntheticShape& shape, const ShapeChanges& changes) {
  const FamilyTraits& family = traits(shape.family);
  json fields = json::parse(shape.fields);
  fields["model_type"] = family.model_type;
  fields["bos_token_id"] = fields["eos_token_id"] = nullptr;
  const auto change = [&](const char* field, const std::optional<int>& value) {
    if (value) fields[field] = *value;
  };
  change("vocab_size", changes.vocab);
  change("hidden_size", changes.width);
  change("num_hidden_layers", changes.layers);
  change("num_attention_heads", changes.heads);
  change("num_key_value_heads", changes.kv_heads);
  change("max_position_embeddings", changes.context);
  if (changes.head_dim) {
    if (family.mla != nullptr) {
      fail_family(family, "heads of one width: its attention is latent", "leave --head-dim out");
    }
    fields["head_dim"] = *changes.head_dim;
  }
  if (shape.family == Family::switchyard && changes.layers) {
    // As the shape has it: experts in all layers but the first.
    json layers = json::array();
    for (int l = 1; l < *changes.layers; ++l) layers.push_back(l);
    fields["switchyard"]["moe_layers"] = std::move(layers);
  }
  change_experts(family, changes, fields);
  return model_config_from_json(fields, "shape " + std::string(shape.name));
}

}  // namespace switchyard
