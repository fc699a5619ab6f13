#include "formats/weight_check.h"

#include <bit>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/errors.h"
#include "support/memory_file_system.h"
#include "support/tiny_model.h"

namespace switchyard {
namespace {

using testing::HasSubstr;
using testing_support::error_of;
using testing_support::write_tiny_model;

// What check_weights says about the weights of `written` under the config `claimed`.
Error::Parts mismatch(const ModelConfig& written, const ModelConfig& claimed) {
  testing_support::MemoryFileSystem fs;
  write_tiny_model(fs, "m", written);
  const SafetensorsReader reader(fs, "m");
  return error_of([&] { check_weights(claimed, reader); });
}

TEST(WeightCheckTest, TinyModelsHoldWhatTheirConfigsSay) {
  using namespace testing_support;
  std::vector<ModelConfig> models = {tiny_llama(),     tiny_mistral(),    tiny_qwen2(),
                                     tiny_mixtral(),   tiny_olmoe(),      tiny_qwen2_moe(),
                                     tiny_qwen3_moe(), tiny_switchyard(), tiny_duo()};
  for (const ModelConfig& config : tiny_attentions()) models.push_back(config);
  for (const ModelConfig& config : models) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      MemoryFileSystem fs;
      write_tiny_model(fs, "m", config, 3, dtype);
      const SafetensorsReader reader(fs, "m");
      const ModelConfig read = read_model_config(fs, "m");
      EXPECT_TRUE(read == config);
      EXPECT_NO_THROW(check_weights(read, reader)) << family_name(config.family);
    }
  }
}

TEST(WeightCheckTest, LatentAttentionNamesItsFields) {
  const ModelConfig v2 = testing_support::tiny_deepseek_v2();
  ModelConfig claimed = v2;
  claimed.mla->kv_rank = 21;
  auto error = mismatch(v2, claimed);
  EXPECT_THAT(error.where, HasSubstr("self_attn.kv_a_proj_with_mqa.weight"));
  EXPECT_THAT(error.expected, HasSubstr("29 (kv_lora_rank + qk_rope_head_dim)"));
  claimed = v2;
  claimed.moe->shared_hidden = 24;
  error = mismatch(v2, claimed);
  EXPECT_THAT(error.where, HasSubstr("mlp.shared_experts.gate_proj.weight"));
  EXPECT_THAT(error.expected, HasSubstr("n_shared_experts * moe_intermediate_size"));
  // Queries in one step in the config, in two in the file.
  claimed = testing_support::tiny_deepseek_v3();
  claimed.mla->q_rank = 0;
  error = mismatch(testing_support::tiny_deepseek_v3(), claimed);
  EXPECT_THAT(error.where, HasSubstr("self_attn.q_proj.weight"));
}

TEST(WeightCheckTest, ExpertsInOneTensorAreRefusedByName) {
  testing_support::MemoryFileSystem fs;
  SafetensorsWriter writer;
  writer.add("model.layers.0.mlp.experts.gate_up_proj_blocks", DType::u8, {1}, {std::byte{0}});
  writer.commit(fs, "m.safetensors");
  const SafetensorsReader reader(fs, "m.safetensors");
  const auto error = error_of([&] { check_weights(testing_support::tiny_gpt_oss(), reader); });
  EXPECT_THAT(error.what, HasSubstr("one tensor holds all experts"));
  EXPECT_THAT(error.where, HasSubstr("layers.0.mlp.experts.gate_up_proj_blocks"));
}

// DeepSeek-V3's files go on after the last layer with one that predicts further tokens.
TEST(WeightCheckTest, LayersBehindTheLastAreExpectedOnlyWhereTheConfigSaysSo) {
  ModelConfig written = testing_support::tiny_deepseek_v3();
  written.layers = 3;
  written.layer_is_moe.push_back(true);
  ModelConfig claimed = testing_support::tiny_deepseek_v3();
  testing_support::MemoryFileSystem fs;
  write_tiny_model(fs, "m", written);
  const SafetensorsReader reader(fs, "m");
  EXPECT_NO_THROW(check_weights(claimed, reader));
  claimed.extra_layers = 0;
  EXPECT_THAT(error_of([&] { check_weights(claimed, reader); }).where,
              HasSubstr("model.layers.2.input_layernorm.weight"));
}

TEST(WeightCheckTest, NamesTensorAndField) {
  const ModelConfig mixtral = testing_support::tiny_mixtral();
  ModelConfig claimed = mixtral;
  claimed.vocab = 97;
  auto error = mismatch(mixtral, claimed);
  EXPECT_EQ(error.what, "the shape is [96, 32]");
  EXPECT_EQ(error.where, "m/model.safetensors: tensor 'model.embed_tokens.weight'");
  EXPECT_EQ(error.expected, "[97 (vocab_size), 32 (hidden_size)] as config.json says");

  claimed = mixtral;
  claimed.moe->expert.hidden = 25;
  error = mismatch(mixtral, claimed);
  EXPECT_THAT(error.where, HasSubstr("block_sparse_moe.experts.0.w1.weight"));
  EXPECT_THAT(error.expected, HasSubstr("25 (intermediate_size)"));

  claimed = mixtral;
  claimed.layers = 3;
  claimed.layer_is_moe.push_back(true);
  error = mismatch(mixtral, claimed);
  EXPECT_EQ(error.what, "the tensor is missing");
  EXPECT_THAT(error.where, HasSubstr("model.layers.2.input_layernorm.weight"));

  claimed = testing_support::tiny_olmoe();
  claimed.moe->router.experts = 9;
  error = mismatch(testing_support::tiny_olmoe(), claimed);
  EXPECT_THAT(error.where, HasSubstr("mlp.gate.weight"));
  EXPECT_THAT(error.expected, HasSubstr("9 (num_experts)"));
}

TEST(WeightCheckTest, EachExpertHasItsOwnWidth) {
  const ModelConfig duo = testing_support::tiny_duo();
  ModelConfig claimed = duo;
  claimed.moe->expert_hidden = {48, 4};
  const auto error = mismatch(duo, claimed);
  EXPECT_THAT(error.where, HasSubstr("experts.1."));
  EXPECT_THAT(error.expected, HasSubstr("4 (switchyard.expert_hidden[1])"));
}

TEST(WeightCheckTest, PartsTheConfigDoesNotKnow) {
  ModelConfig written = testing_support::tiny_switchyard();
  ModelConfig claimed = written;
  claimed.layers = 1;
  claimed.layer_is_moe = {false};
  claimed.moe.reset();
  EXPECT_THAT(mismatch(written, claimed).what, HasSubstr("num_hidden_layers is 1"));

  claimed = written;
  claimed.moe->shared_hidden = 0;
  EXPECT_THAT(mismatch(written, claimed).what, HasSubstr("no shared expert"));

  written.qk_norm = QkNorm::per_head;
  EXPECT_THAT(mismatch(written, testing_support::tiny_switchyard()).what,
              HasSubstr("no norm of q and k"));

  written = testing_support::tiny_switchyard();
  written.attention_bias = true;
  EXPECT_THAT(mismatch(written, testing_support::tiny_switchyard()).what, HasSubstr("no bias"));

  // A hash router has no weights whose shape would give the number of experts away.
  written = testing_support::tiny_switchyard();
  written.moe->router = {};
  written.moe->router.kind = routing::Kind::hash;
  claimed = written;
  claimed.moe->router.experts = 7;
  EXPECT_THAT(mismatch(written, claimed).what, HasSubstr("switchyard.router.experts is 7"));
}

TEST(WeightCheckTest, WeightsMustBeFloating) {
  const ModelConfig config = testing_support::tiny_llama();
  testing_support::MemoryFileSystem fs;
  fs.create_directories("m");
  SafetensorsWriter writer;
  for (const ExpectedTensor& tensor : expected_tensors(config)) {
    std::size_t count = 1;
    for (const std::int64_t n : tensor.shape()) count *= static_cast<std::size_t>(n);
    writer.add(tensor.name, DType::i8, tensor.shape(), std::vector<std::byte>(count));
  }
  writer.commit(fs, "m/model.safetensors");
  const SafetensorsReader reader(fs, "m");
  EXPECT_EQ(error_of([&] { check_weights(config, reader); }).what, "the dtype is I8");
}

TEST(TinyModelTest, BytesDependOnSeedOnly) {
  testing_support::MemoryFileSystem fs;
  const ModelConfig config = testing_support::tiny_mixtral();
  write_tiny_model(fs, "a", config, 1);
  write_tiny_model(fs, "b", config, 1);
  write_tiny_model(fs, "c", config, 2);
  const std::string a = read_file(fs, "a/model.safetensors");
  EXPECT_EQ(a, read_file(fs, "b/model.safetensors"));
  EXPECT_NE(a, read_file(fs, "c/model.safetensors"));
  // FNV-1a of one tensor's bits: numbers recorded elsewhere rely on them, on every platform.
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const float v : SafetensorsReader(fs, "a").read_f32("lm_head.weight")) {
    hash = (hash ^ std::bit_cast<std::uint32_t>(v)) * 0x100000001b3ULL;
  }
  EXPECT_EQ(hash, 13495327782714132752U);
}

}  // namespace
}  // namespace switchyard
