// What config.json says of attention and of routers, family by family.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "switchyard/model_config.h"

#include "formats/family.h"
#include "formats/rope_scaling.h"
#include "support/errors.h"
#include "support/tiny_model.h"

namespace switchyard {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::error_of;

ModelConfig parse(const json& config) { return model_config_from_json(config, "config.json"); }

// Fields as the published checkpoints have them.
json deepseek_v2_lite() {
  return json::parse(
      R"({"architectures": ["DeepseekV2ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
    "aux_loss_alpha": 0.001, "bos_token_id": 100000, "eos_token_id": 100001, "first_k_dense_replace": 1,
    "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 10944, "kv_lora_rank": 512,
    "max_position_embeddings": 163840, "model_type": "deepseek_v2", "moe_intermediate_size": 1408, "moe_layer_freq": 1,
    "n_group": 1, "n_routed_experts": 64, "n_shared_experts": 2, "norm_topk_prob": false, "num_attention_heads": 16,
    "num_experts_per_tok": 6, "num_hidden_layers": 27, "num_key_value_heads": 16, "q_lora_rank": null,
    "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "rms_norm_eps": 1e-06, "rope_scaling": {"beta_fast": 32,
    "beta_slow": 1, "factor": 40, "mscale": 0.707, "mscale_all_dim": 0.707, "original_max_position_embeddings": 4096,
    "type": "yarn"}, "rope_theta": 10000, "routed_scaling_factor": 1.0, "scoring_func": "softmax", "seq_aux": true,
    "tie_word_embeddings": false, "topk_group": 1, "topk_method": "greedy", "v_head_dim": 128, "vocab_size": 102400})");
}

json deepseek_v2() {
  json config = deepseek_v2_lite();
  config.update(json::parse(
      R"({"hidden_size": 5120, "intermediate_size": 12288, "moe_intermediate_size": 1536, "n_group": 8,
    "n_routed_experts": 160, "num_attention_heads": 128, "num_hidden_layers": 60, "num_key_value_heads": 128,
    "q_lora_rank": 1536, "routed_scaling_factor": 16.0, "topk_group": 3, "topk_method": "group_limited_greedy"})"));
  return config;
}

// Without the section on FP8 weights.
json deepseek_v3() {
  json config = deepseek_v2();
  config.update(json::parse(
      R"({"architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "bos_token_id": 0, "eos_token_id": 1,
    "first_k_dense_replace": 3, "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048,
    "n_routed_experts": 256, "n_shared_experts": 1, "norm_topk_prob": true, "num_experts_per_tok": 8,
    "num_hidden_layers": 61, "num_nextn_predict_layers": 1, "routed_scaling_factor": 2.5, "scoring_func": "sigmoid",
    "topk_group": 4, "topk_method": "noaux_tc", "vocab_size": 129280})"));
  config["rope_scaling"]["mscale"] = 1.0;
  config["rope_scaling"]["mscale_all_dim"] = 1.0;
  return config;
}

json qwen3_06b() {
  return json::parse(
      R"({"architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "bos_token_id": 151643, "eos_token_id": 151645,
    "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024, "intermediate_size": 3072,
    "max_position_embeddings": 40960, "max_window_layers": 28, "model_type": "qwen3", "num_attention_heads": 16,
    "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-06, "rope_scaling": null,
    "rope_theta": 1000000, "sliding_window": null, "tie_word_embeddings": true, "use_sliding_window": false,
    "vocab_size": 151936})");
}

json gpt_oss_20b() {
  return json::parse(
      R"({"architectures": ["GptOssForCausalLM"], "attention_bias": true, "eos_token_id": 200002, "experts_per_token": 4,
    "head_dim": 64, "hidden_act": "silu", "hidden_size": 2880, "initial_context_length": 4096, "intermediate_size": 2880,
    "max_position_embeddings": 131072, "model_type": "gpt_oss", "num_attention_heads": 64, "num_experts_per_tok": 4,
    "num_hidden_layers": 24, "num_key_value_heads": 8, "num_local_experts": 32, "rms_norm_eps": 1e-05,
    "rope_scaling": {"beta_fast": 32.0, "beta_slow": 1.0, "factor": 32.0, "original_max_position_embeddings": 4096,
    "rope_type": "yarn", "truncate": false}, "rope_theta": 150000, "sliding_window": 128, "swiglu_limit": 7.0,
    "tie_word_embeddings": false, "vocab_size": 201088})");
}

TEST(FamiliesTest, CountsOfPublishedModels) {
  const ModelConfig lite = parse(deepseek_v2_lite());
  EXPECT_EQ(lite.parameters(), 15'706'484'224U);        // 15.7 B
  EXPECT_EQ(lite.active_parameters(), 2'661'150'208U);  // 2.4 B and the embedding's 0.2
  const ModelConfig v2 = parse(deepseek_v2());
  EXPECT_EQ(v2.parameters(), 235'741'434'880U);        // 236 B
  EXPECT_EQ(v2.active_parameters(), 21'375'800'320U);  // 21 B
  const ModelConfig v3 = parse(deepseek_v3());
  EXPECT_EQ(v3.parameters(), 671'026'419'200U);        // 671 B
  EXPECT_EQ(v3.active_parameters(), 37'552'297'472U);  // 37 B
  const ModelConfig q3 = parse(qwen3_06b());
  EXPECT_EQ(q3.parameters(), 596'049'920U);  // 0.6 B
  EXPECT_EQ(q3.qk_norm, QkNorm::per_head);
  EXPECT_EQ(q3.head_dim, 128);
  EXPECT_FALSE(q3.attention_bias);
}

TEST(FamiliesTest, ReadsGptOss) {
  const ModelConfig c = parse(gpt_oss_20b());
  EXPECT_EQ(c.parameters(), 20'914'757'184U);        // 20.9 B
  EXPECT_EQ(c.active_parameters(), 4'187'440'704U);  // 3.6 B and the embedding's 0.6
  json larger = gpt_oss_20b();
  larger["num_hidden_layers"] = 36;
  larger["num_local_experts"] = 128;
  EXPECT_EQ(parse(larger).parameters(), 116'829'156'672U);  // 117 B
  EXPECT_TRUE(c.attention_sinks && c.attention_bias && c.attention_output_bias);
  EXPECT_TRUE(c.moe->router_bias && c.moe->expert_bias && c.moe->expert.clamped);
  EXPECT_EQ(c.window(0), 128);
  EXPECT_EQ(c.window(1), 0);
  EXPECT_FALSE(c.rope_scaling.truncate);
  json config = gpt_oss_20b();
  config.erase("rope_scaling");  // the class has the same scaling as its default
  EXPECT_EQ(parse(config), c);
  const auto with = [](const char* field, const json& value) {
    json changed = gpt_oss_20b();
    changed[field] = value;
    return error_of([&] { parse(changed); }).what;
  };
  EXPECT_THAT(with("swiglu_limit", 6.0), HasSubstr("'swiglu_limit'"));
  EXPECT_THAT(with("attention_bias", false), HasSubstr("'attention_bias'"));
  EXPECT_THAT(with("quantization_config", {{"quant_method", "fp8"}}),
              HasSubstr("'quantization_config'"));
  config = gpt_oss_20b();
  config["quantization_config"] = {{"quant_method", "mxfp4"}};  // as published
  EXPECT_EQ(parse(config), c);
  EXPECT_THAT(with("hidden_act", "relu"), HasSubstr("clamped"));
}

TEST(FamiliesTest, ReadsLatentAttention) {
  const ModelConfig lite = parse(deepseek_v2_lite());
  ASSERT_TRUE(lite.mla);
  EXPECT_EQ(lite.mla->q_rank, 0);
  EXPECT_EQ(lite.mla->kv_rank, 512);
  EXPECT_EQ(lite.mla->cached_width(), 576);
  EXPECT_EQ(lite.head_dim, 192);
  EXPECT_EQ(lite.mixed_width(), 16 * 128);
  EXPECT_EQ(lite.rope_dim(), 64);
  EXPECT_TRUE(lite.mla->interleaved);
  json config = deepseek_v2_lite();
  config.erase("q_lora_rank");  // absent is not null
  EXPECT_EQ(parse(config).mla->q_rank, 1536);
  config["rope_interleave"] = false;
  EXPECT_FALSE(parse(config).mla->interleaved);
  config["head_dim"] = 64;  // as transformers writes it; says nothing new
  EXPECT_EQ(parse(config).head_dim, 192);
}

TEST(FamiliesTest, LatentAttentionCountsItsOperationsOnTheLatentVectors) {
  const ModelConfig c = testing_support::tiny_deepseek_v2();
  // For every token looked at: 4 heads of 20 + 8 for a score and 20 for a value, two layers.
  EXPECT_EQ(c.flops_per_token(11) - c.flops_per_token(10), 2U * 2 * 4 * (20 + 8 + 20));
}

TEST(FamiliesTest, ReadsTheRoutersOfDeepSeek) {
  const routing::Config lite = parse(deepseek_v2_lite()).moe->router;
  EXPECT_EQ(lite.score, routing::Score::softmax);
  EXPECT_EQ(lite.groups, 1);
  EXPECT_FALSE(lite.renormalize);
  EXPECT_EQ(parse(deepseek_v2_lite()).moe->shared_hidden, 2 * 1408);
  EXPECT_FALSE(parse(deepseek_v2_lite()).moe->shared_gate);
  const routing::Config v2 = parse(deepseek_v2()).moe->router;
  EXPECT_EQ(v2.groups, 8);
  EXPECT_EQ(v2.groups_per_token, 3);
  EXPECT_EQ(v2.group_score, routing::GroupScore::max);
  EXPECT_EQ(v2.scaling_factor, 16.0F);
  const ModelConfig v3 = parse(deepseek_v3());
  EXPECT_EQ(v3.moe->router.score, routing::Score::sigmoid);
  EXPECT_TRUE(v3.moe->router.selection_bias);
  EXPECT_TRUE(v3.moe->router.renormalize);
  EXPECT_EQ(v3.moe->router.group_score, routing::GroupScore::top2_sum);
  EXPECT_EQ(v3.moe->router.scaling_factor, 2.5F);
  EXPECT_EQ(v3.extra_layers, 1);
  EXPECT_EQ(v3.layer_is_moe[2], false);
  EXPECT_EQ(v3.layer_is_moe[3], true);
}

TEST(FamiliesTest, RefusesRoutersOfDeepSeekThatItDoesNotKnow) {
  const auto with = [](json config, const char* field, const json& value) {
    config[field] = value;
    return error_of([&] { parse(config); });
  };
  EXPECT_THAT(with(deepseek_v2(), "topk_method", "noaux_tc").what, HasSubstr("'topk_method'"));
  EXPECT_THAT(with(deepseek_v2(), "scoring_func", "sigmoid").what, HasSubstr("'scoring_func'"));
  EXPECT_THAT(with(deepseek_v2(), "norm_topk_prob", true).what, HasSubstr("'norm_topk_prob'"));
  EXPECT_THAT(with(deepseek_v3(), "topk_method", "greedy").what, HasSubstr("'topk_method'"));
  EXPECT_THAT(with(deepseek_v3(), "scoring_func", "softmax").what, HasSubstr("'scoring_func'"));
  EXPECT_THAT(with(deepseek_v2(), "n_group", 7).what, HasSubstr("groups"));
  EXPECT_THAT(with(deepseek_v2(), "attention_bias", true).what, HasSubstr("'attention_bias'"));
  EXPECT_THAT(with(deepseek_v2(), "num_key_value_heads", 8).what, HasSubstr("kv_heads"));
  EXPECT_THAT(with(deepseek_v2(), "qk_rope_head_dim", 63).what, HasSubstr("mla.rope_dim"));
  const auto fp8 = with(deepseek_v3(), "quantization_config", {{"quant_method", "fp8"}});
  EXPECT_THAT(fp8.what, HasSubstr("'quantization_config'"));
  EXPECT_THAT(fp8.expected, HasSubstr("FP8"));
  json config = deepseek_v2();
  config.erase("num_experts_per_tok");  // the class has no default
  EXPECT_THAT(error_of([&] { parse(config); }).what, HasSubstr("'num_experts_per_tok' is missing"));
}

TEST(FamiliesTest, LeadingDenseLayersAndEveryFewLayers) {
  json config = deepseek_v2_lite();
  config["num_hidden_layers"] = 7;
  config["first_k_dense_replace"] = 2;
  config["moe_layer_freq"] = 3;
  const ModelConfig c = parse(config);
  EXPECT_THAT(c.layer_is_moe, ElementsAre(false, false, false, true, false, false, true));
  EXPECT_EQ(parse(to_json(c)), c);
  // Whatever two numbers give, two numbers are found for.
  for (int layers = 1; layers < 9; ++layers) {
    for (int first = 0; first < 10; ++first) {
      for (int step = 1; step < 10; ++step) {
        const auto routed = leading_moe_layers(layers, first, step);
        const auto found = as_leading_moe(routed);
        ASSERT_TRUE(found) << layers << " " << first << " " << step;
        EXPECT_EQ(leading_moe_layers(layers, found->first, found->step), routed);
      }
    }
  }
  EXPECT_FALSE(as_leading_moe({true, true, false, true}));
  ModelConfig irregular = testing_support::tiny_deepseek_v3();
  irregular.layers = 4;
  irregular.layer_is_moe = {true, true, false, true};
  EXPECT_THAT(error_of([&] { to_json(irregular); }).what, HasSubstr("layer_is_moe"));
}

TEST(FamiliesTest, RopeInOldAndNewFields) {
  json config = qwen3_06b();
  config.erase("rope_theta");
  config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 5e6}};
  EXPECT_EQ(parse(config).rope_theta, 5e6F);
  config["rope_parameters"] = {{"rope_type", "yarn"},
                               {"rope_theta", 5e6},
                               {"factor", 4.0},
                               {"original_max_position_embeddings", 32768}};
  const ModelConfig modern = parse(config);
  EXPECT_EQ(modern.rope_scaling.kind, RopeKind::yarn);
  EXPECT_EQ(modern.rope_scaling.original_context, 32768);
  EXPECT_EQ(modern.rope_scaling.beta_fast, 32.0F);
  config["rope_theta"] = 5e6;
  config["rope_scaling"] = {
      {"type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 32768}};
  config.erase("rope_parameters");
  EXPECT_EQ(parse(config), modern);
  config["rope_scaling"].erase("factor");
  EXPECT_EQ(parse(config).rope_scaling.factor, 40960.0F / 32768.0F);
  config["rope_scaling"].erase("original_max_position_embeddings");
  EXPECT_EQ(error_of([&] { parse(config); }).where, "config.json: rope_scaling");
  config["rope_scaling"] = {{"type", "linear"}, {"factor", 2.0}};
  EXPECT_EQ(parse(config).rope_scaling.kind, RopeKind::linear);
  EXPECT_EQ(parse(config).rope_scaling.factor, 2.0F);
  config["rope_scaling"] = {{"type", "default"}};
  EXPECT_EQ(parse(config).rope_scaling, RopeScaling{});
  config["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", 8.0},
                            {"low_freq_factor", 1.0},
                            {"high_freq_factor", 4.0},
                            {"original_max_position_embeddings", 8192}};
  EXPECT_EQ(parse(config).rope_scaling.kind, RopeKind::llama3);
  EXPECT_EQ(parse(to_json(parse(config))), parse(config));
  config["rope_scaling"] = {{"type", "dynamic"}, {"factor", 2.0}};
  EXPECT_EQ(parse(config).rope_scaling.kind, RopeKind::dynamic);
  EXPECT_EQ(parse(config).rope_scaling.original_context, 40960);  // max_position_embeddings
  EXPECT_EQ(parse(to_json(parse(config))), parse(config));
  config["rope_scaling"]["original_max_position_embeddings"] = 32768;
  EXPECT_EQ(parse(config).rope_scaling.original_context, 32768);
  config["rope_scaling"] = {{"type", "dynamic"}, {"alpha", 1000.0}, {"factor", 1.0}};
  EXPECT_EQ(parse(config).rope_scaling, (RopeScaling{.kind = RopeKind::dynamic, .alpha = 1000.0F}));
  EXPECT_EQ(parse(to_json(parse(config))), parse(config));
}

TEST(FamiliesTest, RefusesRopeThatItCannotCompute) {
  const auto with = [](const json& scaling) {
    json config = qwen3_06b();
    config["rope_scaling"] = scaling;
    return error_of([&] { parse(config); });
  };
  const auto longrope = with({{"type", "longrope"}, {"factor", 2.0}});
  EXPECT_EQ(longrope.what, "field 'type' is \"longrope\"");
  EXPECT_EQ(longrope.where, "config.json: rope_scaling");
  EXPECT_THAT(longrope.expected, HasSubstr("yarn"));
  EXPECT_THAT(with({{"type", "dynamic"}}).what, HasSubstr("'factor'"));
  EXPECT_THAT(with({{"type", "dynamic"}, {"alpha", -1}}).what, HasSubstr("'alpha'"));
  EXPECT_THAT(with({{"rope_type", "longrope"}}).what, HasSubstr("'rope_type'"));
  EXPECT_THAT(with({{"rope_type", "linear"}}).what, HasSubstr("'factor'"));
  EXPECT_THAT(with({{"rope_type", "linear"}, {"factor", 0.5}}).what,
              HasSubstr("rope_scaling.factor"));
  EXPECT_THAT(with({{"rope_type", "llama3"}, {"factor", 8}}).what,
              HasSubstr("'original_max_position_embeddings'"));
  EXPECT_THAT(with({{"rope_type", "llama3"},
                    {"factor", 8},
                    {"low_freq_factor", 4},
                    {"high_freq_factor", 1},
                    {"original_max_position_embeddings", 8192}})
                  .what,
              HasSubstr("rope_scaling.high_frequency_factor"));
  EXPECT_THAT(with({{"rope_type", "yarn"}, {"factor", 2}, {"beta_fast", 1}, {"beta_slow", 4}}).what,
              HasSubstr("rope_scaling.beta_fast"));
  EXPECT_THAT(with({{"full_attention", {{"rope_type", "default"}}}}).what,
              HasSubstr("'full_attention'"));
  EXPECT_THAT(with({{"partial_rotary_factor", 0.5}}).what, HasSubstr("'partial_rotary_factor'"));
  ModelConfig c = testing_support::tiny_llama();
  c.rope_scaling.factor = 2.0F;  // without a kind that reads it
  EXPECT_THAT(error_of([&] { validate(c); }).what, HasSubstr("rope_scaling.kind"));
}

// Numbers of the formulas in Peng 2023 and in DeepSeek's configs.
TEST(FamiliesTest, YarnMakesScoresLarger) {
  EXPECT_FLOAT_EQ(rope_magnitude({.kind = RopeKind::yarn, .factor = 4.0F}), 1.1386294F);
  EXPECT_FLOAT_EQ(rope_magnitude(parse(deepseek_v3()).rope_scaling), 1.0F);
  EXPECT_FLOAT_EQ(
      rope_magnitude(
          {.kind = RopeKind::yarn, .factor = 40.0F, .mscale = 1.0F, .mscale_all_dim = 0.5F}),
      1.3688879F / 1.1844440F);
  EXPECT_FLOAT_EQ(
      rope_magnitude({.kind = RopeKind::yarn, .factor = 40.0F, .attention_factor = 1.5F}), 1.5F);
  EXPECT_EQ(rope_magnitude({.kind = RopeKind::linear, .factor = 40.0F}), 1.0F);
  // 192^-0.5 * (0.1 ln 40 + 1)^2
  EXPECT_FLOAT_EQ(parse(deepseek_v3()).attention_scale(), 0.0721688F * 1.3688879F * 1.3688879F);
  EXPECT_FLOAT_EQ(parse(qwen3_06b()).attention_scale(), 0.08838835F);
}

TEST(FamiliesTest, WindowsOfEachFamily) {
  json mistral = {{"model_type", "mistral"}};  // window 4096 by default, context 131072
  const ModelConfig m = parse(mistral);
  EXPECT_EQ(m.sliding_window, 4096);
  EXPECT_EQ(m.window(31), 4096);
  mistral["max_position_embeddings"] = 4096;  // no sequence outgrows it
  EXPECT_EQ(parse(mistral).sliding_window, 0);
  mistral["max_position_embeddings"] = 32768;
  mistral["sliding_window"] = nullptr;
  EXPECT_EQ(parse(mistral).sliding_window, 0);

  json qwen = qwen3_06b();
  qwen["use_sliding_window"] = true;
  qwen["sliding_window"] = 1024;
  EXPECT_EQ(parse(qwen).sliding_window, 0);  // max_window_layers 28 of 28 layers
  qwen["max_window_layers"] = 26;
  EXPECT_EQ(parse(qwen).window(25), 0);
  EXPECT_EQ(parse(qwen).window(26), 1024);
  EXPECT_EQ(parse(to_json(parse(qwen))), parse(qwen));
  json types = json::array();
  for (int l = 0; l < 28; ++l) types.push_back(l % 2 == 0 ? "sliding_attention" : "full_attention");
  qwen["layer_types"] = types;
  EXPECT_EQ(parse(qwen).window(0), 1024);
  EXPECT_EQ(parse(qwen).window(27), 0);
  EXPECT_EQ(parse(to_json(parse(qwen))), parse(qwen));
  qwen["use_sliding_window"] = false;
  EXPECT_THAT(error_of([&] { parse(qwen); }).what, HasSubstr("'layer_types'"));

  // Programs differ on the layers that a window of Qwen2-MoE means, so they have to be listed.
  json moe = to_json(testing_support::tiny_qwen2_moe());
  moe["use_sliding_window"] = true;
  moe["sliding_window"] = 8;
  EXPECT_THAT(error_of([&] { parse(moe); }).what, HasSubstr("'layer_types'"));
  moe["layer_types"] = {"full_attention", "sliding_attention"};
  EXPECT_EQ(parse(moe).window(1), 8);
  json llama = to_json(testing_support::tiny_llama());
  llama["sliding_window"] = 8;
  EXPECT_THAT(error_of([&] { parse(llama); }).what, HasSubstr("'sliding_window'"));
}

TEST(FamiliesTest, AWindowedLayerCountsWhatItSees) {
  const ModelConfig c = testing_support::tiny_windowed();
  EXPECT_EQ(c.flops_per_token(5), c.flops_per_token(100));
  EXPECT_LT(c.flops_per_token(4), c.flops_per_token(5));
}

TEST(FamiliesTest, AFamilyIsNotMadeToSayWhatItCannot) {
  const auto refuse = [](ModelConfig config) { return error_of([&] { to_json(config); }).what; };
  ModelConfig c = testing_support::tiny_deepseek_v2();
  c.mla.reset();
  EXPECT_THAT(refuse(c), HasSubstr("mla"));
  c = testing_support::tiny_deepseek_v2();
  c.moe->shared_hidden = 25;
  EXPECT_THAT(refuse(c), HasSubstr("moe.shared_hidden"));
  c = testing_support::tiny_deepseek_v2();
  c.extra_layers = 1;
  EXPECT_THAT(refuse(c), HasSubstr("extra_layers"));
  c = testing_support::tiny_deepseek_v3();
  c.moe->router.selection_bias = false;
  EXPECT_THAT(refuse(c), HasSubstr("moe.router"));
  c = testing_support::tiny_deepseek_v3();
  c.head_dim = 24;
  EXPECT_THAT(refuse(c), HasSubstr("head_dim is 24"));
  c = testing_support::tiny_windowed();
  c.layer_is_windowed[0] = false;
  EXPECT_THAT(refuse(c), HasSubstr("sliding_window"));
  c.layer_is_windowed.clear();
  EXPECT_THAT(refuse(c), HasSubstr("layer_is_windowed"));
  c = testing_support::tiny_latent();
  c.attention_bias = true;
  EXPECT_THAT(refuse(c), HasSubstr("attention_bias"));
}

TEST(FamiliesTest, OurOwnFamilySaysLatentAttentionAndWindows) {
  json config = to_json(testing_support::tiny_latent());
  config["switchyard"]["mla"]["q_rnak"] = 3;
  EXPECT_THAT(error_of([&] { parse(config); }).what, HasSubstr("'q_rnak'"));
  config["switchyard"]["mla"] = {{"q_rank", 0}};
  EXPECT_THAT(error_of([&] { parse(config); }).what, HasSubstr("'kv_rank' is missing"));
  ModelConfig windowed = testing_support::tiny_switchyard();
  windowed.sliding_window = 9;
  windowed.layer_is_windowed = {true, false};
  EXPECT_EQ(parse(to_json(windowed)), windowed);
}

}  // namespace
}  // namespace switchyard
