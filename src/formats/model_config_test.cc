#include "switchyard/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "formats/weight_check.h"
#include "support/errors.h"
#include "support/memory_file_system.h"
#include "support/tiny_model.h"

namespace switchyard {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::error_of;

ModelConfig parse(const json& config) { return model_config_from_json(config, "config.json"); }

// Fields as the published checkpoints have them.
json mixtral_8x7b() {
  return json::parse(
      R"({"architectures": ["MixtralForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 1,
    "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
    "max_position_embeddings": 32768, "model_type": "mixtral", "num_attention_heads": 32, "num_experts_per_tok": 2,
    "num_hidden_layers": 32, "num_key_value_heads": 8, "num_local_experts": 8, "output_router_logits": false,
    "rms_norm_eps": 1e-05, "rope_theta": 1000000.0, "router_aux_loss_coef": 0.02, "sliding_window": null,
    "tie_word_embeddings": false, "torch_dtype": "bfloat16", "use_cache": true, "vocab_size": 32000})");
}

json olmoe() {
  return json::parse(
      R"({"architectures": ["OlmoeForCausalLM"], "attention_bias": false, "clip_qkv": null,
    "eos_token_id": 50279, "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 1024,
    "max_position_embeddings": 4096, "model_type": "olmoe", "norm_topk_prob": false, "num_attention_heads": 16,
    "num_experts": 64, "num_experts_per_tok": 8, "num_hidden_layers": 16, "num_key_value_heads": 16,
    "pad_token_id": 1, "rope_scaling": null, "rope_theta": 10000.0, "tie_word_embeddings": false,
    "vocab_size": 50304})");
}

json qwen2_moe() {
  return json::parse(
      R"({"architectures": ["Qwen2MoeForCausalLM"], "bos_token_id": 151643, "eos_token_id": 151643,
    "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 5632, "max_position_embeddings": 8192,
    "max_window_layers": 21, "model_type": "qwen2_moe", "num_attention_heads": 16, "num_hidden_layers": 24,
    "num_key_value_heads": 16, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768,
    "tie_word_embeddings": false, "use_sliding_window": false, "vocab_size": 151936, "decoder_sparse_step": 1,
    "moe_intermediate_size": 1408, "shared_expert_intermediate_size": 5632, "num_experts_per_tok": 4,
    "num_experts": 60, "norm_topk_prob": false})");
}

json qwen3_moe() {
  return json::parse(
      R"({"architectures": ["Qwen3MoeForCausalLM"], "attention_bias": false, "bos_token_id": 151643,
    "decoder_sparse_step": 1, "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 2048,
    "intermediate_size": 6144, "max_position_embeddings": 40960, "max_window_layers": 48, "mlp_only_layers": [],
    "model_type": "qwen3_moe", "moe_intermediate_size": 768, "norm_topk_prob": true, "num_attention_heads": 32,
    "num_experts": 128, "num_experts_per_tok": 8, "num_hidden_layers": 48, "num_key_value_heads": 4,
    "rms_norm_eps": 1e-06, "rope_scaling": null, "rope_theta": 1000000.0, "sliding_window": null,
    "tie_word_embeddings": false, "use_sliding_window": false, "vocab_size": 151936})");
}

TEST(ModelConfigTest, CountsOfPublishedModels) {
  const ModelConfig mixtral = parse(mixtral_8x7b());
  EXPECT_EQ(mixtral.parameters(), 46'702'792'704U);         // 46.7 B
  EXPECT_EQ(mixtral.active_parameters(), 12'879'925'248U);  // 12.9 B
  EXPECT_EQ(mixtral.expert_parameters(), 3U * 4096 * 14336);
  const ModelConfig o = parse(olmoe());
  EXPECT_EQ(o.parameters(), 6'919'161'856U);         // 6.9 B
  EXPECT_EQ(o.active_parameters(), 1'282'017'280U);  // 1.3 B
  const ModelConfig q2 = parse(qwen2_moe());
  EXPECT_EQ(q2.parameters(), 14'315'784'192U);        // 14.3 B
  EXPECT_EQ(q2.active_parameters(), 2'689'173'504U);  // 2.7 B
  const ModelConfig q3 = parse(qwen3_moe());
  EXPECT_EQ(q3.parameters(), 30'532'122'624U);        // 30.5 B
  EXPECT_EQ(q3.active_parameters(), 3'353'032'704U);  // 3.3 B
}

TEST(ModelConfigTest, FlopsPerTokenByHand) {
  const ModelConfig c = testing_support::tiny_mixtral();
  // A layer: q and o 32 * 32 each, k and v 32 * 16 each; router 8 * 32; two experts of 3 * 32 * 24;
  // scores and values 2 * 10 * 32. Then the output matrix 96 * 32.
  const std::uint64_t layer = 2 * 32 * 32 + 2 * 32 * 16 + 8 * 32 + 2 * 3 * 32 * 24 + 2 * 10 * 32;
  EXPECT_EQ(c.flops_per_token(10), 2 * (2 * layer + 96 * 32));
}

// Duo-LLM, section 6.12: c(b) = (b + (L - b) / 16) / L of the FFN's operations.
TEST(ModelConfigTest, ExpertsOfDifferentWidthCountByTheirExpectedShare) {
  ModelConfig c = testing_support::tiny_duo();
  c.layers = 12;
  c.layer_is_moe.assign(12, true);
  c.moe->expert.hidden = 160;
  c.moe->expert_hidden = {160, 10};
  const auto ffn = [](std::uint64_t hidden) { return 3U * 32 * hidden; };
  c.moe->router.probabilities = {0.0F, 1.0F};
  const std::uint64_t small = c.flops_per_token(0), active = c.active_parameters();
  EXPECT_EQ(c.parameters() - active, 12 * ffn(160));
  const std::pair<int, double> published[] = {{0, 0.0625}, {1, 0.141}, {4, 0.375},
                                              {6, 0.531},  {8, 0.688}, {12, 1.0}};
  for (const auto& [big, share] : published) {
    const float p = static_cast<float>(big) / 12.0F;
    c.moe->router.probabilities = {p, 1.0F - p};
    const double flops = static_cast<double>(c.flops_per_token(0) - small) + 24.0 * ffn(10);
    EXPECT_NEAR(flops / (24.0 * ffn(160)), share, 5e-4) << big;
  }
  c.moe->router.probabilities = {0.5F, 0.25F, 0.25F};  // skips cost nothing
  EXPECT_EQ(c.active_parameters() - active, 12 * (ffn(80) + ffn(10) / 4 - ffn(10)));
  // A router that is trained for a budget is expected to keep it; without one all are alike.
  c.moe->router = testing_support::tiny_duo_router().moe->router;
  c.moe->router.losses.budget = {0.25F};
  EXPECT_EQ(c.active_parameters() - active - 12U * 2 * 32,
            12 * (ffn(40) + 3 * ffn(10) / 4 - ffn(10)));
  c.moe->router.losses = {};
  EXPECT_EQ(c.active_parameters() - active - 12U * 2 * 32, 12 * (ffn(80) + ffn(5) - ffn(10)));
}

TEST(ModelConfigTest, ReadsTheRouterOfEachFamily) {
  const ModelConfig mixtral = parse(mixtral_8x7b());
  EXPECT_EQ(mixtral.moe->router.experts, 8);
  EXPECT_EQ(mixtral.moe->router.experts_per_token, 2);
  EXPECT_TRUE(mixtral.moe->router.renormalize);
  EXPECT_EQ(mixtral.moe->router.score, routing::Score::softmax);
  const ModelConfig o = parse(olmoe());
  EXPECT_FALSE(o.moe->router.renormalize);
  EXPECT_EQ(o.qk_norm, QkNorm::full);
  const ModelConfig q2 = parse(qwen2_moe());
  EXPECT_FALSE(q2.moe->router.renormalize);
  EXPECT_TRUE(q2.attention_bias);
  EXPECT_EQ(q2.moe->shared_hidden, 5632);
  EXPECT_TRUE(q2.moe->shared_gate);
  const ModelConfig q3 = parse(qwen3_moe());
  EXPECT_TRUE(q3.moe->router.renormalize);
  EXPECT_EQ(q3.qk_norm, QkNorm::per_head);
  EXPECT_EQ(q3.head_dim, 128);
  EXPECT_EQ(q3.q_width(), 4096);
}

TEST(ModelConfigTest, DefaultsOfAbsentFields) {
  const ModelConfig mixtral = parse({{"model_type", "mixtral"}});
  EXPECT_EQ(mixtral.rope_theta, 1e6F);
  EXPECT_EQ(mixtral.kv_heads, 8);
  EXPECT_EQ(mixtral.context, 131072);
  EXPECT_EQ(mixtral.norm_epsilon, 1e-5F);
  EXPECT_THAT(mixtral.eos, ElementsAre(2));
  EXPECT_EQ(mixtral.bos, 1);
  const ModelConfig o = parse({{"model_type", "olmoe"}});
  EXPECT_EQ(o.kv_heads, 16);
  EXPECT_EQ(o.moe->expert.hidden, 2048);
  EXPECT_THAT(o.eos, ElementsAre(50279));
  EXPECT_FALSE(o.bos);
  const ModelConfig q2 = parse({{"model_type", "qwen2_moe"}});
  EXPECT_EQ(q2.moe->router.experts, 60);
  EXPECT_EQ(q2.rope_theta, 1e4F);
  EXPECT_TRUE(q2.eos.empty());
  const ModelConfig q3 = parse({{"model_type", "qwen3_moe"}});
  EXPECT_EQ(q3.head_dim, 64);
  EXPECT_EQ(q3.kv_heads, 4);
  EXPECT_FALSE(q3.moe->router.renormalize);
  const ModelConfig llama = parse({{"model_type", "llama"}, {"num_attention_heads", 16}});
  EXPECT_EQ(llama.kv_heads, 16);
  EXPECT_EQ(llama.norm_epsilon, 1e-6F);
  EXPECT_EQ(llama.dense.hidden, 11008);
}

TEST(ModelConfigTest, NullIsNotTheDefault) {
  json config = mixtral_8x7b();
  config["eos_token_id"] = nullptr;
  config["num_key_value_heads"] = nullptr;
  EXPECT_TRUE(parse(config).eos.empty());
  EXPECT_EQ(parse(config).kv_heads, 32);
  config["eos_token_id"] = {2, 7};
  EXPECT_THAT(parse(config).eos, ElementsAre(2, 7));
}

TEST(ModelConfigTest, LayersWithExperts) {
  json config = qwen2_moe();
  config["num_hidden_layers"] = 6;
  config["decoder_sparse_step"] = 2;
  config["mlp_only_layers"] = {3, 99};
  EXPECT_THAT(parse(config).layer_is_moe, ElementsAre(false, true, false, false, false, true));
  config["num_experts"] = 0;
  EXPECT_FALSE(parse(config).moe);
}

TEST(ModelConfigTest, RefusesWhatItCannotCompute) {
  const auto with = [](json config, const char* field, const json& value) {
    config[field] = value;
    return error_of([&] { parse(config); });
  };
  EXPECT_THAT(with(olmoe(), "clip_qkv", 8.0).what, HasSubstr("'clip_qkv' is 8.0"));
  EXPECT_THAT(with(olmoe(), "attention_bias", true).what, HasSubstr("'attention_bias'"));
  EXPECT_THAT(with(olmoe(), "hidden_act", "xielu").what, HasSubstr("\"xielu\""));
  EXPECT_THAT(with(olmoe(), "quantization_config", json::object()).what,
              HasSubstr("'quantization_config'"));
  EXPECT_THAT(with(olmoe(), "layer_types", {"full_attention", "sliding_attention"}).what,
              HasSubstr("'layer_types'"));
  EXPECT_THAT(with(olmoe(), "partial_rotary_factor", 0.5).what,
              HasSubstr("'partial_rotary_factor'"));
  EXPECT_THAT(with({{"model_type", "llama"}}, "mlp_bias", true).what, HasSubstr("'mlp_bias'"));
  EXPECT_THAT(with(olmoe(), "model_type", "gpt2").expected, HasSubstr("mixtral"));
  EXPECT_THAT(error_of([] { parse(json::object()); }).what, HasSubstr("'model_type' is missing"));
  EXPECT_THAT(error_of([] { parse(json::array()); }).what, HasSubstr("found a JSON array"));
}

TEST(ModelConfigTest, RefusesSizesThatDoNotFit) {
  const auto with = [](const char* field, const json& value) {
    json config = mixtral_8x7b();
    config[field] = value;
    const auto error = error_of([&] { parse(config); });
    EXPECT_EQ(error.where, "config.json");
    return error.what;
  };
  EXPECT_THAT(with("hidden_size", 4097), HasSubstr("'num_attention_heads'"));
  EXPECT_THAT(with("num_key_value_heads", 5), HasSubstr("kv_heads is 5"));
  EXPECT_THAT(with("num_experts_per_tok", 9), HasSubstr("'num_experts_per_tok' is 9"));
  EXPECT_THAT(with("num_hidden_layers", 0), HasSubstr("'num_hidden_layers' is 0"));
  EXPECT_THAT(with("vocab_size", -1), HasSubstr("'vocab_size' is -1"));
  EXPECT_THAT(with("vocab_size", 1e300), HasSubstr("'vocab_size'"));
  EXPECT_THAT(with("hidden_size", "big"), HasSubstr("'hidden_size' is \"big\""));
  EXPECT_THAT(with("head_dim", 3), HasSubstr("head_dim is 3"));
  EXPECT_THAT(with("rms_norm_eps", 0), HasSubstr("'rms_norm_eps' is 0"));
  EXPECT_THAT(with("eos_token_id", "x"), HasSubstr("'eos_token_id'"));
  json huge = mixtral_8x7b();
  for (const char* field : {"intermediate_size", "num_local_experts", "num_hidden_layers"}) {
    huge[field] = 16384;
  }
  huge["hidden_size"] = 1 << 20;
  huge["head_dim"] = 128;
  EXPECT_THAT(error_of([&] { parse(huge); }).what, HasSubstr("number of weights"));
}

std::vector<ModelConfig> tiny_models() {
  using namespace testing_support;
  std::vector<ModelConfig> models = {
      tiny_llama(),     tiny_mistral(),   tiny_qwen2(),      tiny_mixtral(), tiny_olmoe(),
      tiny_qwen2_moe(), tiny_qwen3_moe(), tiny_switchyard(), tiny_duo(),     tiny_recurrent()};
  for (const ModelConfig& config : tiny_attentions()) models.push_back(config);
  return models;
}

TEST(ModelConfigTest, JsonRoundTrip) {
  for (const ModelConfig& config : tiny_models()) {
    const json written = to_json(config, "bfloat16");
    EXPECT_EQ(written["torch_dtype"], "bfloat16");
    EXPECT_TRUE(parse(written) == config) << written.dump(2);
    EXPECT_EQ(to_json(parse(written), "bfloat16"), written);
  }
}

TEST(ModelConfigTest, LossesTravelBesideTheFamilysFields) {
  ModelConfig config = testing_support::tiny_mixtral();
  EXPECT_FALSE(to_json(config).contains("switchyard"));
  config.moe->router.losses.balance_coefficient = 0.01F;
  const json written = to_json(config);
  EXPECT_EQ(parse(written), config);
  json lying = written;
  lying["num_local_experts"] = 4;
  EXPECT_THAT(error_of([&] { parse(lying); }).what, HasSubstr("switchyard.router says 8 experts"));
  lying = written;
  lying["switchyard"]["extra"] = 1;
  EXPECT_THAT(error_of([&] { parse(lying); }).what, HasSubstr("'extra'"));
}

TEST(ModelConfigTest, TheFewestExpertsInTrainingTravelInEveryFamily) {
  for (ModelConfig config : tiny_models()) {
    if (!config.moe) continue;
    config.moe->fewest_experts_in_training = 3;
    EXPECT_EQ(parse(to_json(config)), config);
    json lying = to_json(config);
    lying["switchyard"]["fewest_experts_in_training"] = -1;
    EXPECT_THAT(error_of([&] { parse(lying); }).what, HasSubstr("'fewest_experts_in_training'"));
  }
}

TEST(ModelConfigTest, AFamilyIsNotMadeToSayWhatItCannot) {
  const auto refuse = [](ModelConfig config) { return error_of([&] { to_json(config); }); };
  ModelConfig config = testing_support::tiny_mixtral();
  config.moe->router.score = routing::Score::sigmoid;
  EXPECT_THAT(refuse(config).what, HasSubstr("moe.router"));
  EXPECT_THAT(refuse(config).fix, HasSubstr("family switchyard"));
  config = testing_support::tiny_mixtral();
  config.moe->router.renormalize = false;
  EXPECT_THAT(refuse(config).expected, HasSubstr("renormalised"));
  config = testing_support::tiny_mixtral();
  config.layer_is_moe[0] = false;
  config.dense.hidden = 8;
  EXPECT_THAT(refuse(config).what, HasSubstr("layer_is_moe"));
  config = testing_support::tiny_olmoe();
  config.qk_norm = QkNorm::none;
  EXPECT_THAT(refuse(config).what, HasSubstr("qk_norm"));
  config = testing_support::tiny_olmoe();
  config.moe->expert.gated = false;
  EXPECT_THAT(refuse(config).what, HasSubstr("gated"));
  config = testing_support::tiny_mixtral();
  config.moe->expert_hidden = {24, 24, 24, 24, 24, 24, 24, 12};
  EXPECT_THAT(refuse(config).what, HasSubstr("expert_hidden"));
  config = testing_support::tiny_qwen2_moe();
  config.moe->shared_gate = false;
  EXPECT_THAT(refuse(config).what, HasSubstr("shared_gate"));
}

TEST(ModelConfigTest, SoftmaxAfterSelectionIsPlainRenormalisedTopK) {
  ModelConfig config = testing_support::tiny_mixtral();
  config.moe->router.softmax_after_selection = true;
  const json written = to_json(config);
  EXPECT_EQ(parse(written), config);
}

TEST(ModelConfigTest, OwnSectionIsStrict) {
  const json good = to_json(testing_support::tiny_switchyard());
  const auto with = [&](const char* field, const json& value) {
    json config = good;
    config["switchyard"][field] = value;
    return error_of([&] { parse(config); }).what;
  };
  EXPECT_THAT(with("qk_nrom", "full"), HasSubstr("'qk_nrom'"));
  EXPECT_THAT(with("qk_norm", "half"), HasSubstr("'qk_norm' is \"half\""));
  EXPECT_THAT(with("moe_layers", {2}), HasSubstr("'moe_layers'"));
  EXPECT_THAT(with("moe_layers", "all"), HasSubstr("'moe_layers'"));
  EXPECT_THAT(with("expert", nullptr), HasSubstr("'expert' is missing"));
  EXPECT_THAT(with("router", nullptr), HasSubstr("'router' is missing"));
  EXPECT_THAT(with("expert_hidden", "wide"), HasSubstr("'expert_hidden'"));
  EXPECT_THAT(with("expert_hidden", json::array({0, 24})), HasSubstr("'expert_hidden'"));
  EXPECT_THAT(with("expert_hidden", json::array({16, 24})), HasSubstr("2 widths"));
  EXPECT_THAT(with("expert_hidden", json::array({1, 2, 3, 4, 5, 6, 7, 8})),
              HasSubstr("moe.expert.hidden is 24"));
  EXPECT_THAT(
      with("router", {{"kind", "top_k"}, {"experts", 8}, {"experts_per_token", 2}, {"knob", 1}}),
      HasSubstr("knob"));
  json config = good;
  config.erase("hidden_size");
  EXPECT_THAT(error_of([&] { parse(config); }).what, HasSubstr("'hidden_size' is missing"));
}

TEST(ModelConfigTest, ReadsTheDirectory) {
  testing_support::MemoryFileSystem fs;
  EXPECT_EQ(error_of([&] { read_model_config(fs, "nowhere"); }).where, "nowhere");
  fs.put("m/config.json", mixtral_8x7b().dump());
  EXPECT_EQ(read_model_config(fs, "m").layers, 32);
  EXPECT_EQ(read_model_config(fs, "m/").layers, 32);
  fs.put("m/generation_config.json", R"({"eos_token_id": [2, 5], "temperature": 0.6})");
  EXPECT_THAT(read_model_config(fs, "m").eos, ElementsAre(2, 5));
  fs.put("m/generation_config.json", "{}");
  EXPECT_THAT(read_model_config(fs, "m").eos, ElementsAre(2));
  fs.put("m/config.json", "{\"model_type\": \"mixtral\",}");
  EXPECT_THAT(error_of([&] { read_model_config(fs, "m"); }).where, "m/config.json");
}

TEST(ModelConfigTest, CountsAreTheSumOfTheTensors) {
  for (const ModelConfig& config : tiny_models()) {
    std::uint64_t sum = 0;
    for (const ExpectedTensor& tensor : expected_tensors(config)) {
      std::uint64_t elements = 1;
      for (const std::int64_t n : tensor.shape()) elements *= static_cast<std::uint64_t>(n);
      sum += elements;
    }
    EXPECT_EQ(config.parameters(), sum) << family_name(config.family);
  }
}

// The table of Qiu 2024: a linear router of L N D weights (0.04 of 36.08 M) makes way for one of
// 0.47 M, which gives 36.51 M; 36.44 M with the simple cell; 15.61 M at the small width; 3.59 M
// more in the large model.
TEST(ModelConfigTest, RecurrentRoutersHaveTheWeightsOfThePublishedTable) {
  const auto added = [](int width, int layers, routing::Cell cell) {
    ModelConfig c = testing_support::tiny_mixtral();
    c.family = Family::switchyard;
    c.width = width;
    c.layers = layers;
    c.layer_is_moe.assign(static_cast<std::size_t>(layers), true);
    c.moe->router.experts = 16;
    const std::uint64_t linear = c.parameters();
    c.moe->router = routing::default_config(routing::Kind::recurrent);
    c.moe->router.experts = 16;
    c.moe->router.cell = cell;
    validate(c);
    return c.parameters() - linear;
  };
  const std::uint64_t p = 128, n = 16;
  const auto formula = [&](std::uint64_t d, std::uint64_t l, std::uint64_t gates) {
    return l * (p * d + n * p) + gates * (2 * p * p + 2 * p) - l * n * d;
  };
  EXPECT_EQ(added(352, 8, routing::Cell::gru), formula(352, 8, 3));
  EXPECT_EQ(added(352, 8, routing::Cell::rnn), formula(352, 8, 1));
  EXPECT_EQ(added(264, 6, routing::Cell::gru), formula(264, 6, 3));
  EXPECT_EQ(added(352, 8, routing::Cell::gru), 475'904U - 45'056U);
  EXPECT_EQ(added(1280, 24, routing::Cell::gru), 3'588'864U);  // "+3.59 M"
}

TEST(ModelConfigTest, TheBudgetOfFlopsChoosesTheLargestK) {
  ModelConfig c = testing_support::tiny_mixtral();
  // B / L = 2 d N for the router and 6 d h for each gated expert.
  const std::uint64_t router = 2 * 32 * 8, expert = 6 * 32 * 24;
  EXPECT_EQ(c.moe_flops_per_token(3), 2 * (router + 3 * expert));
  EXPECT_EQ(experts_for_flops(c, 2 * (router + 3 * expert)), 3);
  EXPECT_EQ(experts_for_flops(c, 2 * (router + 3 * expert) - 1), 2);
  EXPECT_EQ(experts_for_flops(c, std::uint64_t{1} << 40), 8);
  EXPECT_THAT(error_of([&] { experts_for_flops(c, 100); }).expected,
              HasSubstr(std::to_string(2 * (router + expert))));
  EXPECT_THAT(error_of([&] { experts_for_flops(testing_support::tiny_llama(), 100); }).what,
              HasSubstr("no experts"));
}

}  // namespace
}  // namespace switchyard
