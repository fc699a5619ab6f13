#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <nlohmann/json.hpp>

#include "formats/dtype.h"
#include "formats/gguf/testing_model.h"
#include "formats/quant/quant.h"
#include "support/errors.h"

namespace switchyard {
namespace {

using namespace testing_gguf;
using namespace testing_support;
using testing::ElementsAre;
using testing::HasSubstr;
using Dims = std::vector<std::uint64_t>;

std::vector<float> values_of(const GgufReader& gguf, const std::string& name) {
  const GgufTensor& tensor = *gguf.find(name);
  std::vector<std::byte> bytes(tensor.bytes);
  gguf.read(tensor, bytes);
  std::vector<float> values(tensor.elements());
  convert_to_f32(*find_gguf_tensor_type(tensor.type)->dtype, bytes, values);
  return values;
}

TEST(WriteGguf, KeysOthersRead) {
  GgufModel model(tiny_mixtral(), {.name = "tiny"});
  const GgufReader gguf(model.fs, kFile);
  const GgufMetadata& m = gguf.metadata();
  EXPECT_EQ(m.text("general.architecture"), "llama");
  EXPECT_EQ(m.text("general.name"), "tiny");
  EXPECT_EQ(m.integer("general.file_type", 0, 100), 0);
  for (const auto& [key, value] :
       {std::pair("block_count", 2), std::pair("context_length", 128),
        std::pair("embedding_length", 32), std::pair("feed_forward_length", 24),
        std::pair("attention.head_count", 4), std::pair("attention.head_count_kv", 2),
        std::pair("attention.key_length", 8), std::pair("rope.dimension_count", 8),
        std::pair("vocab_size", 96), std::pair("expert_count", 8),
        std::pair("expert_used_count", 2)}) {
    const std::string name = std::string("llama.") + key;
    ASSERT_TRUE(m.has(name)) << key;
    // The type that other programs insist on.
    EXPECT_EQ(gguf_type(*m.find(name)), GgufType::u32) << key;
    EXPECT_EQ(m.integer(name, 0, 1000), value) << key;
  }
  EXPECT_TRUE(m.boolean("llama.expert_weights_norm"));
  EXPECT_EQ(m.integer("llama.expert_gating_func", 0, 9), 1);
  EXPECT_EQ(gguf_type(*m.find("llama.attention.layer_norm_rms_epsilon")), GgufType::f32);
  EXPECT_EQ(gguf_type(*m.find("llama.rope.freq_base")), GgufType::f32);
}

TEST(WriteGguf, NamesAndDimensionsOthersRead) {
  GgufModel model(tiny_qwen2_moe());
  const GgufReader gguf(model.fs, kFile);
  EXPECT_EQ(gguf.metadata().text("general.architecture"), "qwen2moe");
  const std::map<std::string, Dims> expected = {
      {"token_embd.weight", {32, 96}},
      {"output_norm.weight", {32}},
      {"output.weight", {32, 96}},
      {"blk.0.attn_norm.weight", {32}},
      {"blk.0.attn_q.weight", {32, 32}},
      {"blk.0.attn_k.weight", {32, 16}},
      {"blk.0.attn_v.weight", {32, 16}},
      {"blk.0.attn_output.weight", {32, 32}},
      {"blk.0.attn_q.bias", {32}},
      {"blk.0.attn_k.bias", {16}},
      {"blk.0.attn_v.bias", {16}},
      {"blk.0.ffn_norm.weight", {32}},
      {"blk.0.ffn_gate.weight", {32, 48}},
      {"blk.0.ffn_up.weight", {32, 48}},
      {"blk.0.ffn_down.weight", {48, 32}},
      {"blk.1.ffn_gate_inp.weight", {32, 8}},
      {"blk.1.ffn_gate_exps.weight", {32, 24, 8}},
      {"blk.1.ffn_up_exps.weight", {32, 24, 8}},
      {"blk.1.ffn_down_exps.weight", {24, 32, 8}},
      {"blk.1.ffn_gate_shexp.weight", {32, 40}},
      {"blk.1.ffn_up_shexp.weight", {32, 40}},
      {"blk.1.ffn_down_shexp.weight", {40, 32}},
      {"blk.1.ffn_gate_inp_shexp.weight", {32}},
  };
  for (const auto& [name, dims] : expected) {
    ASSERT_NE(gguf.find(name), nullptr) << name;
    EXPECT_EQ(gguf.find(name)->dims, dims) << name;
  }
  EXPECT_EQ(gguf.tensors().size(), expected.size() + 9);  // the second layer's attention
}

TEST(WriteGguf, DeepseekAsOthersReadIt) {
  GgufModel model(tiny_deepseek_v3());
  const GgufReader gguf(model.fs, kFile);
  const GgufMetadata& m = gguf.metadata();
  EXPECT_EQ(m.text("general.architecture"), "deepseek2");
  for (const auto& [key, value] :
       {std::pair("attention.q_lora_rank", 14), std::pair("attention.kv_lora_rank", 20),
        std::pair("attention.key_length", 20), std::pair("attention.value_length", 10),
        std::pair("rope.dimension_count", 8), std::pair("leading_dense_block_count", 1),
        std::pair("expert_feed_forward_length", 24), std::pair("expert_shared_count", 1),
        std::pair("expert_gating_func", 2), std::pair("expert_group_count", 4),
        std::pair("expert_group_used_count", 2)}) {
    EXPECT_EQ(m.integer(std::string("deepseek2.") + key, 0, 100), value) << key;
  }
  EXPECT_EQ(m.number("deepseek2.expert_weights_scale", 0, 10), 2.5);
  EXPECT_TRUE(m.boolean("deepseek2.expert_weights_norm"));
  const std::map<std::string, Dims> expected = {
      {"blk.0.attn_q_a.weight", {32, 14}},       {"blk.0.attn_q_a_norm.weight", {14}},
      {"blk.0.attn_q_b.weight", {14, 80}},       {"blk.0.attn_kv_a_mqa.weight", {32, 28}},
      {"blk.0.attn_kv_a_norm.weight", {20}},     {"blk.0.attn_kv_b.weight", {20, 88}},
      {"blk.0.attn_output.weight", {40, 32}},    {"blk.1.exp_probs_b.bias", {8}},
      {"blk.1.ffn_down_shexp.weight", {24, 32}},
  };
  for (const auto& [name, dims] : expected) {
    ASSERT_NE(gguf.find(name), nullptr) << name;
    EXPECT_EQ(gguf.find(name)->dims, dims) << name;
  }
  GgufModel lite(tiny_deepseek_v2_lite());
  EXPECT_FLOAT_EQ(
      static_cast<float>(GgufReader(lite.fs, kFile)
                             .metadata()
                             .number("deepseek2.rope.scaling.yarn_log_multiplier", 0, 1)),
      0.0707F);
}

TEST(WriteGguf, LlamaHasRotaryPairsSideBySide) {
  GgufModel model(tiny_llama());
  const GgufReader gguf(model.fs, kFile);
  const SafetensorsReader hf(model.fs, "hf");
  const auto original = hf.read_f32("model.layers.0.self_attn.k_proj.weight");
  const auto stored = values_of(gguf, "blk.0.attn_k.weight");
  constexpr std::size_t kHeads = 2, kHalf = 4, kWidth = 32;
  for (std::size_t h = 0; h < kHeads; ++h) {
    for (std::size_t i = 0; i < kHalf; ++i) {
      for (std::size_t second = 0; second < 2; ++second) {
        const std::size_t row = h * 2 * kHalf + 2 * i + second;
        const std::size_t from = h * 2 * kHalf + second * kHalf + i;
        for (std::size_t d = 0; d < kWidth; ++d) {
          ASSERT_EQ(stored[row * kWidth + d], original[from * kWidth + d]);
        }
      }
    }
  }
  // v is not rotated, and other architectures are stored as they are.
  EXPECT_EQ(values_of(gguf, "blk.0.attn_v.weight"),
            hf.read_f32("model.layers.0.self_attn.v_proj.weight"));
  GgufModel qwen(tiny_qwen2());
  EXPECT_EQ(values_of(GgufReader(qwen.fs, kFile), "blk.0.attn_q.weight"),
            SafetensorsReader(qwen.fs, "hf").read_f32("model.layers.0.self_attn.q_proj.weight"));
}

TEST(WriteGguf, TypesAreAskedForOncePerTensor) {
  std::vector<std::string> asked;
  std::vector<std::int64_t> experts_shape;
  GgufModel model(tiny_olmoe(),
                  {.type_of = [&](const std::string& name, std::span<const std::int64_t> shape) {
                    asked.push_back(name);
                    if (name == "blk.0.ffn_down_exps.weight") {
                      experts_shape.assign(shape.begin(), shape.end());
                    }
                    return name == "output.weight" ? DType::f16 : DType::bf16;
                  }});
  EXPECT_THAT(experts_shape, ElementsAre(8, 32, 24));
  EXPECT_EQ(std::count(asked.begin(), asked.end(), "blk.0.ffn_down_exps.weight"), 1);
  for (const std::string& name : asked) {
    EXPECT_THAT(name, testing::Not(HasSubstr("norm"))) << name;
    EXPECT_THAT(name, testing::Not(HasSubstr("gate_inp"))) << name;
  }
  const GgufReader gguf(model.fs, kFile);
  EXPECT_EQ(gguf.find("output.weight")->type, gguf_tensor_type_id(DType::f16));
  EXPECT_EQ(gguf.find("blk.1.ffn_up_exps.weight")->type, gguf_tensor_type_id(DType::bf16));
  EXPECT_EQ(gguf.find("blk.1.ffn_gate_inp.weight")->type, gguf_tensor_type_id(DType::f32));
  EXPECT_EQ(gguf.metadata().integer("general.file_type", 0, 100), 32);
  // Rounded once, from the source.
  const auto original =
      SafetensorsReader(model.fs, "hf").read_f32("model.layers.1.mlp.experts.3.up_proj.weight");
  const auto stored = weights_from_gguf(gguf, model_config_from_gguf(gguf))
                          .read_f32("model.layers.1.mlp.experts.3.up_proj.weight");
  for (std::size_t i = 0; i < stored.size(); ++i) {
    ASSERT_EQ(stored[i], bf16_to_f32(f32_to_bf16(original[i])));
  }
}

// Wide enough for every block.
ModelConfig wide(ModelConfig config) {
  config.width = 256;
  config.heads = 4;
  config.head_dim = 64;
  config.layers = 1;
  config.layer_is_moe.resize(1);
  if (config.moe) {
    config.moe->expert.hidden = 256;
    config.moe->router.experts = 2;
  }
  config.dense.hidden = config.dense.hidden > 0 ? 256 : 0;
  return config;
}

TEST(WriteGguf, EveryQuantisedType) {
  const std::string weight = "model.layers.0.block_sparse_moe.experts.1.w2.weight";
  for (const quant::Format& format : quant::formats()) {
    SCOPED_TRACE(dtype_name(format.dtype));
    std::vector<float> importance(256);
    for (std::size_t i = 0; i < importance.size(); ++i) importance[i] = 1.0F + float(i % 7);
    ThreadPool pool(2);
    GgufModel model(
        wide(tiny_mixtral()),
        {.type_of = [&](const std::string&, std::span<const std::int64_t>) { return format.dtype; },
         .importance =
             [&](const std::string& name) {
               return name == weight ? importance : std::vector<float>();
             },
         .pool = &pool});
    const GgufReader gguf(model.fs, kFile);
    EXPECT_EQ(gguf.metadata().integer("general.quantization_version", 0, 9), 2);
    EXPECT_EQ(gguf.find("blk.0.ffn_down_exps.weight")->type, gguf_tensor_type_id(format.dtype));
    const ModelConfig config = model_config_from_gguf(gguf);
    const WeightFiles weights = weights_from_gguf(gguf, config);
    const SafetensorsReader hf(model.fs, "hf");
    for (const char* other :
         {weight.c_str(), "model.layers.0.self_attn.q_proj.weight", "model.embed_tokens.weight"}) {
      const std::string name = other;
      const auto original = hf.read_f32(name);
      std::vector<std::byte> blocks(*dtype_bytes(format.dtype, original.size()));
      quant::encode_rows(
          format.dtype, original, 256,
          name == weight ? std::span<const float>(importance) : std::span<const float>(), blocks);
      std::vector<float> expected(original.size());
      quant::decode_rows(format.dtype, blocks, expected);
      EXPECT_EQ(weights.read_f32(name), expected) << name;
    }
    // Copied as it is, and decoded where another type is asked for.
    write_gguf(model.fs, "copy.gguf", config, weights);
    EXPECT_EQ(read_file(model.fs, "copy.gguf"), read_file(model.fs, kFile));
    write_gguf(
        model.fs, "plain.gguf", config, weights,
        {.type_of = [](const std::string&, std::span<const std::int64_t>) { return DType::f32; }});
    const GgufReader plain(model.fs, "plain.gguf");
    EXPECT_EQ(weights_from_gguf(plain, config).read_f32(weight), weights.read_f32(weight));
  }
}

TEST(WriteGguf, PackedExpertsLieTogether) {
  GgufModel model(tiny_mixtral(), {.packed = true});
  const GgufReader gguf(model.fs, kFile);
  EXPECT_EQ(gguf.find("blk.0.ffn_gate_exps.weight"), nullptr);
  constexpr std::uint64_t kRecord = 4096;  // 24 * 32 * 4 bytes, rounded up
  for (int e = 0; e < 8; ++e) {
    const auto offset = [&](const std::string& part) {
      return gguf.find("blk.1.ffn_" + part + "." + std::to_string(e) + ".weight")->offset;
    };
    EXPECT_EQ(offset("up"), offset("gate") + kRecord);
    EXPECT_EQ(offset("down"), offset("up") + kRecord);
  }
}

TEST(WriteGguf, WhatNoArchitectureSaysIsOurs) {
  for (const ModelConfig& config :
       {tiny_switchyard(), tiny_duo(), tiny_recurrent(), tiny_windowed(), tiny_dynamic(),
        tiny_yarn(), tiny_deepseek_v2(), tiny_deepseek_v2_groups(), tiny_latent()}) {
    GgufModel model(config);
    const GgufReader gguf(model.fs, kFile);
    EXPECT_EQ(gguf.metadata().text("general.architecture"), "switchyard");
    EXPECT_EQ(nlohmann::json::parse(gguf.metadata().text("switchyard.config")),
              to_json(read_model_config(model.fs, "hf")));
  }
  // A gate other programs would compute otherwise.
  ModelConfig config = tiny_qwen3_moe();
  config.moe->router.renormalize = false;
  GgufModel model(config);
  EXPECT_EQ(GgufReader(model.fs, kFile).metadata().text("general.architecture"), "switchyard");
}

TEST(WriteGguf, MetadataOfTheCallerAndProgress) {
  std::uint64_t last = 0, total = 0;
  GgufModel model(tiny_llama(), {.metadata = {{"tokenizer.ggml.model", std::string("gpt2")}},
                                 .progress = [&](std::uint64_t done, std::uint64_t all) {
                                   EXPECT_GT(done, last);
                                   last = done;
                                   total = all;
                                 }});
  EXPECT_EQ(last, total);
  EXPECT_EQ(GgufReader(model.fs, kFile).metadata().text("tokenizer.ggml.model"), "gpt2");
}

TEST(WriteGguf, Refusals) {
  const auto error = [](const std::string& changed, DType dtype, float value) {
    MemoryFileSystem fs;
    write_tiny_model(fs, "hf", tiny_llama());
    const SafetensorsReader hf(fs, "hf");
    SafetensorsWriter writer;
    for (const auto& [name, tensor] : hf.tensors()) {
      auto values = hf.read_f32(name);
      if (name == changed) values.back() = value;
      const auto bytes = std::as_bytes(std::span(values));
      writer.add(name, DType::f32, tensor.shape, {bytes.begin(), bytes.end()});
    }
    writer.commit(fs, "changed.safetensors");
    return error_of([&] {
      write_gguf(
          fs, kFile, tiny_llama(), SafetensorsReader(fs, "changed.safetensors"),
          {.type_of = [&](const std::string&, std::span<const std::int64_t>) { return dtype; }});
    });
  };
  const std::string weight = "model.layers.1.mlp.up_proj.weight";
  const auto large = error(weight, DType::f16, 65520.0F);
  EXPECT_THAT(large.what, HasSubstr("a weight is 65520"));
  EXPECT_EQ(large.where, "changed.safetensors: tensor '" + weight + "'");
  EXPECT_EQ(large.fix, "choose BF16 or F32 for this tensor");
  EXPECT_EQ(error(weight, DType::bf16, std::numeric_limits<float>::infinity()).expected,
            "finite numbers");
  EXPECT_EQ(error(weight, DType::bf16, std::numeric_limits<float>::quiet_NaN()).expected,
            "finite numbers");
  const auto blocks = error("", DType::q4_k, 0);
  EXPECT_EQ(blocks.where, "tensor 'token_embd.weight'");
  EXPECT_THAT(blocks.expected, HasSubstr("the rows here are 32 long"));
  EXPECT_EQ(error("", DType::boolean, 0).expected, "a type that GGUF files have");

  MemoryFileSystem fs;
  write_tiny_model(fs, "hf", tiny_llama());
  EXPECT_EQ(
      error_of([&] { write_gguf(fs, kFile, tiny_qwen2(), SafetensorsReader(fs, "hf")); }).what,
      "the tensor is missing");
  EXPECT_FALSE(fs.exists(kFile));
}

}  // namespace
}  // namespace switchyard
