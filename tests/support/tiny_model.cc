#include "support/tiny_model.h"

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "formats/sharded_safetensors.h"
#include "formats/synthetic/weights.h"

namespace switchyard::testing_support {
namespace {

ModelConfig tiny(Family family) {
  ModelConfig c;
  c.family = family;
  c.vocab = 96;
  c.width = 32;
  c.layers = 2;
  c.heads = 4;
  c.kv_heads = 2;
  c.head_dim = 8;
  c.context = 128;
  c.dense.hidden = 48;
  c.layer_is_moe = {false, false};
  c.eos = {0};
  return c;
}

ModelConfig tiny_moe(Family family) {
  ModelConfig c = tiny(family);
  c.dense.hidden = 0;
  c.layer_is_moe = {true, true};
  c.moe.emplace();
  c.moe->expert.hidden = 24;
  c.moe->router.experts = 8;
  c.moe->router.experts_per_token = 2;
  return c;
}

}  // namespace

ModelConfig tiny_llama() { return tiny(Family::llama); }

ModelConfig tiny_mistral() { return tiny(Family::mistral); }

ModelConfig tiny_qwen2() {
  ModelConfig c = tiny(Family::qwen2);
  c.attention_bias = true;
  c.tied_embeddings = true;
  return c;
}

ModelConfig tiny_mixtral() { return tiny_moe(Family::mixtral); }

ModelConfig tiny_olmoe() {
  ModelConfig c = tiny_moe(Family::olmoe);
  c.kv_heads = 4;
  c.qk_norm = QkNorm::full;
  c.moe->router.renormalize = false;
  return c;
}

ModelConfig tiny_qwen2_moe() {
  ModelConfig c = tiny_moe(Family::qwen2_moe);
  c.attention_bias = true;
  c.dense.hidden = 48;
  c.layer_is_moe = {false, true};
  c.moe->shared_hidden = 40;
  c.moe->shared_gate = true;
  c.moe->router.renormalize = false;
  return c;
}

ModelConfig tiny_qwen3_moe() {
  ModelConfig c = tiny_moe(Family::qwen3_moe);
  c.dense.hidden = 48;
  c.head_dim = 16;
  c.qk_norm = QkNorm::per_head;
  return c;
}

ModelConfig tiny_qwen3() {
  ModelConfig c = tiny(Family::qwen3);
  c.head_dim = 16;
  c.qk_norm = QkNorm::per_head;
  return c;
}

ModelConfig tiny_windowed() {
  ModelConfig c = tiny(Family::mistral);
  c.sliding_window = 5;
  c.layer_is_windowed = {true, true};
  return c;
}

ModelConfig tiny_llama3() {
  ModelConfig c = tiny(Family::llama);
  c.rope_scaling = {.kind = RopeKind::llama3, .factor = 8.0F, .original_context = 64};
  return c;
}

ModelConfig tiny_dynamic() {
  ModelConfig c = tiny(Family::llama);
  c.rope_scaling = {.kind = RopeKind::dynamic, .factor = 2.0F, .original_context = 48};
  return c;
}

ModelConfig tiny_yarn() {
  ModelConfig c = tiny_qwen2();
  c.rope_theta = 100.0F;
  c.rope_scaling = {
      .kind = RopeKind::yarn, .factor = 4.0F, .original_context = 32, .truncate = false};
  c.sliding_window = 6;
  c.layer_is_windowed = {false, true};
  return c;
}

namespace {

ModelConfig tiny_deepseek(Family family) {
  ModelConfig c = tiny_moe(family);
  c.norm_epsilon = MlaConfig::kNormEpsilon;
  c.kv_heads = c.heads;
  c.mla = MlaConfig{.kv_rank = 20, .nope_dim = 12, .rope_dim = 8, .value_dim = 10};
  c.head_dim = 20;
  c.dense.hidden = 48;
  c.layer_is_moe = {false, true};
  c.moe->router.group_score = routing::GroupScore::max;
  c.moe->router.renormalize = false;
  return c;
}

}  // namespace

ModelConfig tiny_deepseek_v2() {
  ModelConfig c = tiny_deepseek(Family::deepseek_v2);
  c.rope_theta = 100.0F;
  c.rope_scaling = {.kind = RopeKind::yarn,
                    .factor = 4.0F,
                    .original_context = 32,
                    .mscale = 0.5F,
                    .mscale_all_dim = 0.8F};
  c.moe->shared_hidden = 48;
  return c;
}

ModelConfig tiny_deepseek_v2_groups() {
  ModelConfig c = tiny_deepseek(Family::deepseek_v2);
  c.mla->q_rank = 14;
  c.layers = 3;
  c.layer_is_moe = {true, false, true};
  c.moe->router.groups = 4;
  c.moe->router.groups_per_token = 2;
  c.moe->router.scaling_factor = 3.0F;
  return c;
}

ModelConfig tiny_deepseek_v3() {
  ModelConfig c = tiny_deepseek(Family::deepseek_v3);
  c.mla->q_rank = 14;
  c.moe->shared_hidden = 24;
  c.moe->router.score = routing::Score::sigmoid;
  c.moe->router.selection_bias = true;
  c.moe->router.renormalize = true;
  c.moe->router.groups = 4;
  c.moe->router.groups_per_token = 2;
  c.moe->router.group_score = routing::GroupScore::top2_sum;
  c.moe->router.experts_per_token = 3;
  c.moe->router.scaling_factor = 2.5F;
  c.extra_layers = 1;
  return c;
}

ModelConfig tiny_gpt_oss() {
  ModelConfig c = tiny_moe(Family::gpt_oss);
  c.attention_bias = c.attention_output_bias = c.attention_sinks = true;
  c.rope_theta = 100.0F;
  c.rope_scaling = {
      .kind = RopeKind::yarn, .factor = 4.0F, .original_context = 32, .truncate = false};
  c.sliding_window = 4;
  c.layer_is_windowed = {true, false};
  c.moe->router_bias = c.moe->expert_bias = c.moe->expert.clamped = true;
  return c;
}

ModelConfig tiny_switchyard() {
  ModelConfig c = tiny_moe(Family::switchyard);
  c.dense.hidden = 48;
  c.layer_is_moe = {false, true};
  c.moe->expert = {.hidden = 24, .activation = Activation::gelu, .gated = false};
  c.moe->shared_hidden = 16;
  c.moe->router.score = routing::Score::sigmoid;
  c.moe->router.selection_bias = true;
  return c;
}

ModelConfig tiny_duo() {
  ModelConfig c = tiny_moe(Family::switchyard);
  c.moe->expert.hidden = 48;
  c.moe->expert_hidden = {48, 3};
  c.moe->router = {.kind = routing::Kind::random,
                   .experts = 2,
                   .experts_per_token = 1,
                   .seed = 5,
                   .probabilities = {0.5F, 0.5F}};
  return c;
}

ModelConfig tiny_duo_router() {
  ModelConfig c = tiny_duo();
  c.moe->router = {.kind = routing::Kind::top_k,
                   .experts = 2,
                   .experts_per_token = 1,
                   .gate = routing::Gate::none,
                   .soft_training = true,
                   .losses = {.budget_coefficient = 10.0F, .budget = {0.5F}}};
  return c;
}

ModelConfig tiny_latent() {
  ModelConfig c = tiny(Family::switchyard);
  c.kv_heads = c.heads;
  c.mla =
      MlaConfig{.kv_rank = 16, .nope_dim = 5, .rope_dim = 6, .value_dim = 7, .interleaved = false};
  c.head_dim = 11;
  c.rope_scaling = {.kind = RopeKind::linear, .factor = 2.0F};
  return c;
}

std::vector<ModelConfig> tiny_attentions() {
  return {tiny_qwen3(),
          tiny_windowed(),
          tiny_llama3(),
          tiny_dynamic(),
          tiny_yarn(),
          tiny_deepseek_v2(),
          tiny_deepseek_v2_groups(),
          tiny_deepseek_v3(),
          tiny_gpt_oss(),
          tiny_latent()};
}

ModelConfig tiny_recurrent() {
  ModelConfig c = tiny_moe(Family::switchyard);
  c.layers = 4;
  c.dense.hidden = 48;
  c.layer_is_moe = {true, false, true, true};
  c.moe->router = routing::default_config(routing::Kind::recurrent);
  c.moe->router.experts = 8;
  c.moe->router.experts_per_token = 2;
  c.moe->router.router_hidden = 12;
  return c;
}

ModelConfig wide(ModelConfig config) {
  config.width = 256;
  config.head_dim = config.mla ? config.head_dim : 64;
  config.heads = 4;
  config.dense.hidden = 512;
  if (config.moe) {
    config.moe->expert.hidden = 256;
    if (config.moe->shared_hidden > 0) config.moe->shared_hidden = 256;
  }
  return config;
}

void write_tiny_model(FileSystem& fs, const std::string& directory, const ModelConfig& config,
                      std::uint64_t seed, DType dtype) {
  SWITCHYARD_CHECK(dtype == DType::f32 || dtype == DType::bf16);
  fs.create_directories(directory);
  const WeightFiles weights =
      synthetic_weights(config, {.seed = seed, .scale = SyntheticScale::even});
  write_safetensors_model(fs, directory, weights,
                          {.type_of = [dtype](const TensorInfo&) { return dtype; }});
  const auto json = to_json(config, dtype == DType::f32 ? "float32" : "bfloat16");
  write_file_atomically(fs, directory + "/config.json", json.dump(2) + "\n");
}

}  // namespace switchyard::testing_support
