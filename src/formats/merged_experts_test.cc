// Checkpoints that keep all experts of a layer in one tensor hold the same weights as those that
// have each by itself.
#include "formats/merged_experts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "switchyard/gguf.h"
#include "switchyard/model_files.h"
#include "switchyard/safetensors.h"

#include "formats/gguf/gguf_model.h"
#include "formats/weight_check.h"
#include "support/errors.h"
#include "support/memory_file_system.h"
#include "support/merged_checkpoint.h"
#include "support/tiny_model.h"

namespace switchyard {
namespace {

using namespace testing_support;
using testing::HasSubstr;

// Rows that are whole blocks of MXFP4, and another number of blocks in the other direction.
ModelConfig blocks_of_32() {
  ModelConfig config = tiny_gpt_oss();
  config.moe->expert.hidden = 64;
  return config;
}

class MergedExperts : public testing::Test {
 protected:
  // A model by itself in "apart", the same with merged experts in "merged".
  void write(const ModelConfig& config, MergedForm form, DType dtype = DType::f32) {
    write_tiny_model(fs, "apart", config, 5, dtype);
    write_merged_checkpoint(fs, "apart", "merged", form);
  }
  WeightFiles open(const std::string& path) {
    const ModelConfig config = read_model_config(fs, path);
    WeightFiles weights = open_weights(fs, path, config);
    check_weights(config, weights);
    return weights;
  }
  void to_gguf(const std::string& from, const std::string& path,
               const GgufWriteOptions& options = {}) {
    const ModelConfig config = read_model_config(fs, from);
    write_gguf(fs, path, config, open_weights(fs, from, config), options);
  }
  // Writes the merged file again with one tensor changed, or left out.
  template <typename Change>
  void change(const std::string& name, Change&& change) {
    const SafetensorsReader reader(fs, "merged");
    SafetensorsWriter writer;
    for (auto [tensor_name, tensor] : reader.tensors()) {
      std::vector<std::byte> bytes(tensor.bytes);
      reader.read(tensor, bytes);
      if (tensor_name == name && !change(tensor, bytes)) continue;
      writer.add(tensor_name, tensor.dtype, tensor.shape, bytes);
    }
    writer.commit(fs, "merged/model.safetensors");
  }
  Error::Parts error() {
    const auto parts = error_of([&] { open("merged"); });
    EXPECT_THAT(parts.where, HasSubstr("model.layers.0.mlp.experts."));
    EXPECT_FALSE(parts.expected.empty());
    EXPECT_FALSE(parts.fix.empty());
    return parts;
  }

  MemoryFileSystem fs;
};

TEST_F(MergedExperts, EveryFamilyReadsTheSameValues) {
  for (const ModelConfig& config :
       {tiny_gpt_oss(), tiny_qwen3_moe(), tiny_qwen2_moe(), tiny_olmoe(), tiny_mixtral(),
        tiny_deepseek_v2(), tiny_deepseek_v3()}) {
    write(config, MergedForm::plain);
    ASSERT_TRUE(SafetensorsReader(fs, "merged")
                    .has(WeightNames(config.family).merged_experts(1, "gate_up_proj")));
    const WeightFiles apart = open("apart");
    const WeightFiles merged = open("merged");
    EXPECT_EQ(merged.tensors().size(), apart.tensors().size());
    for (const auto& [name, tensor] : apart.tensors()) {
      EXPECT_EQ(merged.read_f32(name, tensor.shape), apart.read_f32(name)) << name;
    }
  }
}

// As published: what comes out is, byte for byte, what a GGUF file of the same blocks has.
TEST_F(MergedExperts, Mxfp4IsCopiedWithoutRounding) {
  write(blocks_of_32(), MergedForm::mxfp4);
  to_gguf("merged", "published.gguf");
  to_gguf("apart", "rounded_here.gguf",
          {.type_of = [](const std::string& tensor, std::span<const std::int64_t>) {
            const bool expert = tensor.find("_exps.weight") != std::string::npos;
            return std::optional(expert ? DType::mxfp4 : DType::f32);
          }});
  const GgufReader published(fs, "published.gguf");
  const GgufReader rounded_here(fs, "rounded_here.gguf");
  ASSERT_EQ(published.find("blk.1.ffn_down_exps.weight")->type, 39U);
  for (const auto& [name, tensor] : rounded_here.tensors()) {
    const GgufTensor* other = published.find(name);
    ASSERT_NE(other, nullptr) << name;
    EXPECT_EQ(other->type, tensor.type) << name;
    std::vector<std::byte> expected(tensor.bytes);
    std::vector<std::byte> actual(other->bytes);
    rounded_here.read(tensor, expected);
    published.read(*other, actual);
    EXPECT_EQ(actual, expected) << name;
  }
}

// Codes and scales of one layer may lie in different shards.
TEST_F(MergedExperts, Shards) {
  write(blocks_of_32(), MergedForm::mxfp4);
  const WeightFiles whole = open("merged");
  const SafetensorsReader reader(fs, "merged");
  SafetensorsWriter first;
  SafetensorsWriter second;
  nlohmann::json index;
  for (const auto& [name, tensor] : reader.tensors()) {
    std::vector<std::byte> bytes(tensor.bytes);
    reader.read(tensor, bytes);
    const bool scales = name.ends_with("_scales");
    (scales ? second : first).add(name, tensor.dtype, tensor.shape, bytes);
    index["weight_map"][name] = scales ? "b.safetensors" : "a.safetensors";
  }
  fs.create_directories("sharded");
  first.commit(fs, "sharded/a.safetensors");
  second.commit(fs, "sharded/b.safetensors");
  fs.put("sharded/model.safetensors.index.json", index.dump());
  fs.put("sharded/config.json", read_file(fs, "merged/config.json"));
  const WeightFiles sharded = open("sharded");
  for (const auto& [name, tensor] : whole.tensors()) {
    EXPECT_EQ(sharded.read_f32(name), whole.read_f32(name)) << name;
  }
}

TEST_F(MergedExperts, ShapesAndTypesThatDoNotFit) {
  const std::string prefix = "model.layers.0.mlp.experts.";
  write(tiny_qwen3_moe(), MergedForm::plain);
  change(prefix + "gate_up_proj", [](TensorInfo& tensor, auto&) {
    std::swap(tensor.shape[1], tensor.shape[2]);
    return true;
  });
  EXPECT_EQ(error().what, "the shape is [8, 32, 48]");
  EXPECT_EQ(error().expected, "[8, 48, 32]");
  write(tiny_qwen3_moe(), MergedForm::plain);
  change(prefix + "down_proj", [](TensorInfo& tensor, auto&) {
    tensor.dtype = DType::i32;
    return true;
  });
  EXPECT_EQ(error().what, "the dtype is I32");
  write(blocks_of_32(), MergedForm::mxfp4);
  change(prefix + "down_proj_scales", [](TensorInfo&, auto&) { return false; });
  EXPECT_EQ(error().what, "the tensor is missing");
  write(blocks_of_32(), MergedForm::mxfp4);
  change(prefix + "gate_up_proj_blocks", [](TensorInfo& tensor, auto&) {
    tensor.dtype = DType::i8;
    return true;
  });
  EXPECT_EQ(error().what, "the dtype is I8");
  write(blocks_of_32(), MergedForm::mxfp4);
  change(prefix + "gate_up_proj_bias", [](TensorInfo&, auto&) { return false; });
  EXPECT_EQ(error().what, "the tensor is missing");
}

TEST_F(MergedExperts, AnExpertTwice) {
  write(tiny_olmoe(), MergedForm::plain);
  const SafetensorsReader reader(fs, "merged");
  SafetensorsWriter writer;
  for (const auto& [name, tensor] : reader.tensors()) {
    std::vector<std::byte> bytes(tensor.bytes);
    reader.read(tensor, bytes);
    writer.add(name, tensor.dtype, tensor.shape, bytes);
  }
  writer.add("model.layers.0.mlp.experts.3.up_proj.weight", DType::f32, {1},
             std::vector<std::byte>(4));
  writer.commit(fs, "merged/model.safetensors");
  EXPECT_THAT(error().what, HasSubstr("for itself and in one that holds all"));
}

// 255 is no exponent: E8M0 has it for NaN.
TEST_F(MergedExperts, ScalesThatAreNotNumbers) {
  write(blocks_of_32(), MergedForm::mxfp4);
  change("model.layers.0.mlp.experts.down_proj_scales", [](TensorInfo&, auto& bytes) {
    bytes.at(3) = std::byte{255};
    return true;
  });
  const WeightFiles weights = open("merged");
  const auto damaged =
      error_of([&] { weights.read_f32("model.layers.0.mlp.experts.0.down_proj.weight"); });
  EXPECT_EQ(damaged.what, "the scale of a block is not a number");
  EXPECT_THAT(damaged.where, HasSubstr("'model.layers.0.mlp.experts.down_proj_scales'"));
  EXPECT_NO_THROW(weights.read_f32("model.layers.0.mlp.experts.1.down_proj.weight"));
  EXPECT_THAT(error_of([&] { to_gguf("merged", "m.gguf"); }).what, HasSubstr("not a number"));
  EXPECT_FALSE(fs.exists("m.gguf"));
}

TEST_F(MergedExperts, OtherQuantisationsAreRefused) {
  write(tiny_qwen3_moe(), MergedForm::plain);
  const auto with = [&](const nlohmann::json& quantisation) {
    auto config = nlohmann::json::parse(read_file(fs, "merged/config.json"));
    config["quantization_config"] = quantisation;
    fs.put("merged/config.json", config.dump());
    return error_of([&] { read_model_config(fs, "merged"); }).what;
  };
  // Only gpt-oss is known with MXFP4.
  EXPECT_THAT(with({{"quant_method", "mxfp4"}}), HasSubstr("quantization_config"));
  write(blocks_of_32(), MergedForm::mxfp4);
  EXPECT_THAT(with({{"quant_method", "fp8"}}), HasSubstr("quantization_config"));
  EXPECT_THAT(with(nlohmann::json::array()), HasSubstr("quantization_config"));
}

}  // namespace
}  // namespace switchyard
