#include "models/checkpoint_io.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "switchyard/error.h"

#include "support/memory_file_system.h"
#include "support/tiny_model.h"

namespace switchyard::models {
namespace {

using namespace testing_support;
using ::testing::HasSubstr;

torch::Tensor run(Decoder& model) {
  const torch::NoGradGuard no_grad;
  ForwardContext context;
  return model.forward(torch::tensor({{5, 9, 2, 7, 7, 1}}), context);
}

std::vector<std::int64_t> shape(const SafetensorsReader& reader, const char* name) {
  return reader.find(name).shape;
}

TEST(CheckpointIo, SaveAndLoadGiveTheSameBits) {
  for (const auto& config : {tiny_llama(), tiny_qwen2(), tiny_mixtral(), tiny_olmoe(),
                             tiny_qwen2_moe(), tiny_qwen3_moe(), tiny_switchyard(), tiny_duo()}) {
    MemoryFileSystem fs;
    Decoder model(config, 3);
    save_model(fs, model, "out");
    const auto loaded = load_model(fs, "out");
    EXPECT_TRUE(run(*loaded).equal(run(model))) << static_cast<int>(config.family);
    const auto names = model.named_parameters();
    for (const auto& parameter : loaded->named_parameters()) {
      EXPECT_TRUE(parameter.value().equal(names[parameter.key()])) << parameter.key();
    }
  }
}

TEST(CheckpointIo, LoadsWhatOthersWrote) {
  for (const auto& config : {tiny_mixtral(), tiny_switchyard()}) {
    MemoryFileSystem fs;
    write_tiny_model(fs, "in", config);
    const auto model = load_model(fs, "in");
    const SafetensorsReader reader(fs, "in");
    const WeightNames names(config.family);
    const int last = config.layers - 1;
    const auto expected = reader.read_f32(names.expert(last, 3, "up"));
    const auto actual = model->layers[last]->moe->experts->up(3).contiguous();
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), actual.data_ptr<float>()));
  }
}

TEST(CheckpointIo, Bfloat16FilesHoldTheRoundedWeights) {
  MemoryFileSystem fs;
  Decoder model(tiny_mixtral(), 3);
  save_model(fs, model, "out", {.dtype = DType::bf16, .metadata = {{"step", "12"}}});
  const SafetensorsReader reader(fs, "out");
  EXPECT_EQ(reader.find("lm_head.weight").dtype, DType::bf16);
  EXPECT_EQ(reader.metadata().at("step"), "12");
  EXPECT_EQ(nlohmann::json::parse(read_file(fs, "out/config.json"))["torch_dtype"], "bfloat16");
  const auto loaded = load_model(fs, "out");
  EXPECT_TRUE(loaded->output.equal(model.output.to(torch::kBFloat16).to(torch::kFloat32)));
}

TEST(CheckpointIo, MixtralLayoutIsThatOfTheFamily) {
  auto config = tiny_mixtral();
  config.family = Family::switchyard;
  MemoryFileSystem fs;
  const Decoder model(config, 3);
  EXPECT_EQ(best_family(config), Family::mixtral);
  export_model(fs, model, "out", Family::mixtral);
  const SafetensorsReader reader(fs, "out");
  const std::int64_t D = config.width, F = config.moe->expert.hidden,
                     E = config.moe->router.experts;
  const std::vector<std::int64_t> up{F, D}, down{D, F}, router{E, D};
  EXPECT_EQ(shape(reader, "model.layers.0.block_sparse_moe.experts.7.w1.weight"), up);
  EXPECT_EQ(shape(reader, "model.layers.0.block_sparse_moe.experts.7.w2.weight"), down);
  EXPECT_EQ(shape(reader, "model.layers.0.block_sparse_moe.experts.7.w3.weight"), up);
  EXPECT_EQ(shape(reader, "model.layers.1.block_sparse_moe.gate.weight"), router);
  // Per layer 6 of attention and norms, the router and three an expert; embedding, norm and output.
  EXPECT_EQ(reader.tensors().size(), 3 + config.layers * (6 + 1 + 3 * static_cast<std::size_t>(E)));
  const auto json = nlohmann::json::parse(read_file(fs, "out/config.json"));
  EXPECT_EQ(json["model_type"], "mixtral");
  EXPECT_EQ(json["num_local_experts"], E);
  EXPECT_FALSE(json.contains("switchyard"));
  auto again = load_model(fs, "out");
  auto original = Decoder(config, 3);
  EXPECT_TRUE(run(*again).equal(run(original)));
}

TEST(CheckpointIo, OlmoeLayoutIsThatOfTheFamily) {
  auto config = tiny_olmoe();
  config.family = Family::switchyard;
  MemoryFileSystem fs;
  const Decoder model(config, 3);
  EXPECT_EQ(best_family(config), Family::olmoe);
  export_model(fs, model, "out", Family::olmoe);
  const SafetensorsReader reader(fs, "out");
  const std::int64_t D = config.width, F = config.moe->expert.hidden;
  const std::vector<std::int64_t> up{F, D}, down{D, F}, norm{config.q_width()};
  EXPECT_EQ(shape(reader, "model.layers.0.mlp.experts.7.gate_proj.weight"), up);
  EXPECT_EQ(shape(reader, "model.layers.0.mlp.experts.7.up_proj.weight"), up);
  EXPECT_EQ(shape(reader, "model.layers.0.mlp.experts.7.down_proj.weight"), down);
  EXPECT_EQ(shape(reader, "model.layers.1.self_attn.q_norm.weight"), norm);
  const auto json = nlohmann::json::parse(read_file(fs, "out/config.json"));
  EXPECT_EQ(json["model_type"], "olmoe");
  EXPECT_EQ(json["norm_topk_prob"], false);
}

TEST(CheckpointIo, AFamilyThatCannotSayItIsAnError) {
  MemoryFileSystem fs;
  const Decoder model(tiny_switchyard(), 3);
  EXPECT_EQ(best_family(model.config()), Family::switchyard);
  EXPECT_THROW(export_model(fs, model, "out", Family::mixtral), Error);
  EXPECT_FALSE(fs.exists("out/config.json"));
}

TEST(CheckpointIo, AMergedLayerIsSavedExpertByExpert) {
  MemoryFileSystem fs;
  Decoder model(tiny_mixtral(), 3);
  model.layers[0]->moe->expert_map[5] = 2;
  save_model(fs, model, "out");
  const auto loaded = load_model(fs, "out");
  EXPECT_TRUE(loaded->layers[0]->moe->experts->up(5).equal(model.layers[0]->moe->experts->up(2)));
  // Other products of the same rows: equal up to rounding.
  EXPECT_TRUE(run(*loaded).allclose(run(model), 1e-5, 1e-6));
}

TEST(CheckpointIo, MissingAndMisshapenTensorsAreNamed) {
  MemoryFileSystem fs;
  const auto config = tiny_mixtral();
  write_tiny_model(fs, "in", config);
  auto other = config;
  other.layers += 1;
  other.layer_is_moe.push_back(true);
  Decoder deeper(other, 1);
  try {
    load_weights(fs, "in", deeper);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("model.layers.2"));
  }
  other = config;
  other.moe->expert.hidden += 8;
  Decoder wider(other, 1);
  try {
    load_weights(fs, "in", wider);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("experts.0"));
  }
}

}  // namespace
}  // namespace switchyard::models
