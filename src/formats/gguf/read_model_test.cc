// Files of other programs: what they spell in other ways, and what must be refused.
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <utility>

#include "formats/gguf/testing_model.h"
#include "formats/weight_check.h"
#include "support/errors.h"

namespace switchyard {
namespace {

using namespace testing_gguf;
using namespace testing_support;
using testing::ElementsAre;
using testing::HasSubstr;

// The model's file with something changed.
class Changed {
 public:
  Changed(const ModelConfig& config, const std::function<void(FileParts&)>& change)
      : model_(config) {
    FileParts parts{GgufReader(model_.fs, kFile)};
    change(parts);
    parts.write(model_.fs, kFile);
  }

  ModelConfig config() { return model_config_from_gguf(GgufReader(model_.fs, kFile)); }
  WeightFiles weights() {
    const GgufReader gguf(model_.fs, kFile);
    return weights_from_gguf(gguf, model_config_from_gguf(gguf));
  }
  void expect_same_weights() {
    const WeightFiles read = weights();
    check_weights(config(), read);
    const SafetensorsReader hf(model_.fs, "hf");
    for (const auto& [name, tensor] : hf.tensors()) {
      EXPECT_EQ(read.read_f32(name, tensor.shape), hf.read_f32(name)) << name;
    }
  }

 private:
  GgufModel model_;
};

Error::Parts config_error(const ModelConfig& config,
                          const std::function<void(FileParts&)>& change) {
  Changed file(config, change);
  return error_of([&] { file.config(); });
}

Error::Parts key_error(const std::string& key, GgufValue value) {
  return config_error(tiny_mixtral(), [&](FileParts& parts) { parts.metadata.set(key, value); });
}

void erase(FileParts& parts, const std::string& key) {
  GgufMetadata rest(parts.metadata.where());
  for (const auto& [name, value] : parts.metadata.values()) {
    if (name != key) rest.set(name, value);
  }
  parts.metadata = rest;
}

TEST(ReadGguf, OlderFilesLeaveKeysOut) {
  Changed file(tiny_llama(), [](FileParts& parts) {
    for (const char* key : {"attention.key_length", "attention.value_length", "vocab_size",
                            "rope.freq_base", "rope.dimension_count"}) {
      erase(parts, std::string("llama.") + key);
    }
  });
  EXPECT_EQ(file.config(), tiny_llama());
  Changed qwen(tiny_qwen2_moe(),
               [](FileParts& parts) { erase(parts, "qwen2moe.expert_feed_forward_length"); });
  EXPECT_EQ(qwen.config(), tiny_qwen2_moe());
}

TEST(ReadGguf, NumbersForEachLayer) {
  const auto with = [](std::vector<std::int32_t> heads) {
    return [heads](FileParts& parts) {
      parts.metadata.set("llama.attention.head_count_kv", GgufArray{heads});
    };
  };
  EXPECT_EQ(Changed(tiny_llama(), with({2, 2})).config(), tiny_llama());
  EXPECT_THAT(config_error(tiny_llama(), with({2, 4})).expected,
              HasSubstr("layers that differ are not supported"));
  EXPECT_THAT(config_error(tiny_llama(), with({2, 2, 2})).what, HasSubstr("head_count_kv"));
}

TEST(ReadGguf, SpecialTokens) {
  Changed file(tiny_llama(), [](FileParts& parts) {
    parts.metadata.set("tokenizer.ggml.bos_token_id", std::uint32_t{0xffffffff});
    parts.metadata.set("tokenizer.ggml.eos_token_id", std::uint32_t{3});
    parts.metadata.set("tokenizer.ggml.eot_token_id", std::uint32_t{5});
    parts.metadata.set("tokenizer.ggml.eom_token_id", std::int32_t{3});
  });
  EXPECT_FALSE(file.config().bos.has_value());
  EXPECT_THAT(file.config().eos, ElementsAre(3, 5));
}

TEST(ReadGguf, RoutersSayHowTheyWeigh) {
  const auto norm = [](bool value) {
    return Changed(tiny_olmoe(),
                   [value](FileParts& parts) {
                     parts.metadata.set("olmoe.expert_weights_norm", value);
                   })
        .config()
        .moe->router.renormalize;
  };
  EXPECT_FALSE(norm(false));
  EXPECT_TRUE(norm(true));
  Changed chosen(tiny_olmoe(), [](FileParts& parts) {
    parts.metadata.set("olmoe.expert_gating_func", std::uint32_t{3});
  });
  EXPECT_TRUE(chosen.config().moe->router.renormalize);
  EXPECT_THAT(key_error("llama.expert_gating_func", std::uint32_t{2}).expected,
              HasSubstr("softmax, in architecture llama"));
}

TEST(ReadGguf, ExpertsOneByOneOrFused) {
  Changed fused(tiny_qwen3_moe(), [](FileParts& parts) {
    for (const int l : {0, 1}) {
      const std::string blk = "blk." + std::to_string(l) + ".ffn_";
      auto gate = parts.tensors.at(blk + "gate_exps.weight");
      const auto up = parts.tensors.at(blk + "up_exps.weight");
      parts.tensors.erase(blk + "gate_exps.weight");
      parts.tensors.erase(blk + "up_exps.weight");
      const std::size_t expert = gate.second.size() / 8;
      std::vector<std::byte> both;
      for (std::size_t e = 0; e < 8; ++e) {
        for (const std::vector<std::byte>* from : {&std::as_const(gate.second), &up.second}) {
          const auto begin = from->begin() + static_cast<std::ptrdiff_t>(e * expert);
          both.insert(both.end(), begin, begin + static_cast<std::ptrdiff_t>(expert));
        }
      }
      gate.first.dims[1] *= 2;
      parts.tensors[blk + "gate_up_exps.weight"] = {gate.first, both};
    }
  });
  fused.expect_same_weights();
}

TEST(ReadGguf, ExpertsThatDoNotFit) {
  Changed file(tiny_mixtral(), [](FileParts& parts) {
    parts.metadata.set("llama.expert_count", std::uint32_t{4});
  });
  const auto error = error_of([&] { file.weights(); });
  EXPECT_EQ(error.what, "the dimensions are [32, 24, 8]");
  EXPECT_THAT(error.expected, HasSubstr("3 of them, the outermost 4"));
  EXPECT_THAT(error.where, HasSubstr("tensor 'blk.0.ffn_gate_exps.weight'"));
}

// Each number that also shows in the shapes of tensors, one off: one line that names the file, and
// the tensor or the key as the file has them.
TEST(ReadGguf, MetadataThatContradictTensors) {
  struct Case {
    ModelConfig config;
    std::string key;
    std::int64_t value;
  };
  const std::vector<Case> cases = {
      {tiny_llama(), "llama.block_count", 1},
      {tiny_llama(), "llama.block_count", 3},
      {tiny_llama(), "llama.embedding_length", 64},
      {tiny_llama(), "llama.embedding_length", 16},
      {tiny_llama(), "llama.feed_forward_length", 47},
      {tiny_llama(), "llama.attention.head_count", 2},
      {tiny_llama(), "llama.attention.head_count_kv", 4},
      {tiny_llama(), "llama.attention.key_length", 16},
      {tiny_llama(), "llama.vocab_size", 97},
      {tiny_mixtral(), "llama.expert_count", 7},
      {tiny_mixtral(), "llama.expert_count", 0},
      {tiny_mixtral(), "llama.expert_used_count", 9},
      {tiny_mixtral(), "llama.expert_used_count", 0},
      {tiny_mixtral(), "llama.feed_forward_length", 25},
      {tiny_qwen2_moe(), "qwen2moe.expert_feed_forward_length", 23},
      {tiny_qwen2_moe(), "qwen2moe.expert_shared_feed_forward_length", 1},
      {tiny_qwen3_moe(), "qwen3moe.expert_count", 4},
      {tiny_qwen3_moe(), "qwen3moe.attention.key_length", 2},
      {tiny_deepseek_v2_lite(), "deepseek2.attention.kv_lora_rank", 3},
      {tiny_deepseek_v2_lite(), "deepseek2.attention.q_lora_rank", 3},
      {tiny_deepseek_v2_lite(), "deepseek2.attention.value_length", 3},
      {tiny_deepseek_v2_lite(), "deepseek2.expert_shared_count", 1},
      {tiny_deepseek_v3(), "deepseek2.attention.q_lora_rank", 0},
      {tiny_deepseek_v3(), "deepseek2.expert_gating_func", 1},
      {tiny_gpt_oss(), "gpt-oss.attention.head_count", 8},
      {tiny_gpt_oss(), "gpt-oss.expert_feed_forward_length", 32},
  };
  for (const Case& c : cases) {
    Changed file(c.config, [&](FileParts& parts) {
      parts.metadata.set(c.key, static_cast<std::uint32_t>(c.value));
    });
    const auto error = error_of([&] { check_weights(file.config(), file.weights()); });
    const std::string what = c.key + " = " + std::to_string(c.value);
    EXPECT_THAT(error.where, testing::StartsWith(kFile)) << what;
    EXPECT_FALSE(error.what.empty()) << what;
    EXPECT_FALSE(error.expected.empty()) << what << ": " << error.what;
    for (const std::string& part : {error.what, error.where, error.expected, error.fix}) {
      EXPECT_THAT(part, testing::Not(HasSubstr("config.json"))) << what;
      EXPECT_THAT(part, testing::Not(HasSubstr("model.layers"))) << what;
    }
  }
}

TEST(ReadGguf, HostileCounts) {
  const auto error = [](std::uint32_t layers, std::uint32_t experts) {
    Changed file(tiny_mixtral(), [&](FileParts& parts) {
      parts.metadata.set("llama.block_count", layers);
      parts.metadata.set("llama.expert_count", experts);
    });
    return error_of([&] { file.weights(); });
  };
  EXPECT_EQ(error(16384, 8).what, "the metadata says 16384 layers");
  EXPECT_EQ(error(16384, 8).expected, "at most 23, one a tensor");
  EXPECT_EQ(error(20, 65536).what, "the metadata says 1310720 experts in all layers");
  EXPECT_EQ(error(20, 65536).expected, "at most " + std::to_string(tiny_mixtral().parameters()));
}

TEST(ReadGguf, UnknownArchitectures) {
  const auto error = key_error("general.architecture", std::string("mamba\n"));
  EXPECT_THAT(error.what, HasSubstr("key 'general.architecture' is 'mamba"));
  EXPECT_EQ(
      error.expected,
      "one of switchyard, llama, qwen2, qwen3, qwen2moe, qwen3moe, olmoe, deepseek2, gpt-oss");
  EXPECT_EQ(key_error("switchyard.family", std::string("olmoe")).expected,
            "a family of architecture llama");
}

TEST(ReadGguf, WhatChangesTheComputationIsRefused) {
  const std::vector<std::pair<std::string, GgufValue>> keys = {
      {"rope.scaling.type", std::string("longrope")},
      {"rope.scaling.attn_factor", 0.5F},
      {"rope.dimension_count", std::uint32_t{4}},
      {"rope.dimension_sections", GgufArray{std::vector<std::int32_t>{1, 2}}},
      {"attention.value_length", std::uint32_t{16}},
      {"attention.sliding_window", std::uint32_t{64}},
      {"attention.clamp_kqv", 8.0F},
      {"attention.causal", false},
      {"attn_logit_softcapping", 30.0F},
      {"final_logit_softcapping", 30.0F},
      {"logit_scale", 0.5F},
      {"use_parallel_residual", true},
      {"expert_weights_scale", 2.5F},
      {"expert_group_count", std::uint32_t{8}},
      {"nextn_predict_layers", std::uint32_t{1}},
  };
  for (const auto& [key, value] : keys) {
    const auto error = key_error("llama." + key, value);
    EXPECT_THAT(error.what, HasSubstr("llama." + key)) << key;
    EXPECT_EQ(error.where, kFile) << key;
    EXPECT_FALSE(error.expected.empty()) << key;
    EXPECT_EQ(error.fix, "use a model without it") << key;
  }
  // The same keys where they say nothing.
  Changed file(tiny_mixtral(), [](FileParts& parts) {
    parts.metadata.set("llama.rope.scaling.type", std::string("none"));
    parts.metadata.set("llama.rope.scaling.factor", 4.0F);
    parts.metadata.set("llama.attention.sliding_window", std::uint32_t{128});
    parts.metadata.set("llama.attention.clamp_kqv", 0.0F);
    parts.metadata.set("llama.expert_weights_scale", 1.0F);
    parts.metadata.set("llama.expert_gating_func", std::uint32_t{1});
    parts.metadata.set("llama.something.new", 1.0F);
  });
  EXPECT_EQ(file.config(), tiny_mixtral());
}

TEST(ReadGguf, ScaledRope) {
  const auto scaling = [](const ModelConfig& config,
                          const std::vector<std::pair<std::string, GgufValue>>& keys) {
    return Changed(config,
                   [&](FileParts& parts) {
                     for (const auto& [key, value] : keys) parts.metadata.set(key, value);
                   })
        .config()
        .rope_scaling;
  };
  const RopeScaling linear{.kind = RopeKind::linear, .factor = 2.0F};
  EXPECT_EQ(scaling(tiny_llama(), {{"llama.rope.scaling.factor", 2.0F}}), linear);
  EXPECT_EQ(scaling(tiny_llama(), {{"llama.rope.scale_linear", 2.0F}}), linear);
  const std::pair<std::string, GgufValue> yarn{"qwen2.rope.scaling.type", std::string("yarn")};
  const std::pair<std::string, GgufValue> four{"qwen2.rope.scaling.factor", 4.0F};
  // The context stands in for the original one, as elsewhere.
  RopeScaling expected{.kind = RopeKind::yarn, .factor = 4.0F, .original_context = 128};
  EXPECT_EQ(scaling(tiny_qwen2(), {yarn, four}), expected);
  expected.beta_fast = 16;
  expected.attention_factor = static_cast<float>(0.5 * (1 + 0.1 * std::log(4.0)));
  EXPECT_EQ(scaling(tiny_qwen2(), {yarn,
                                   four,
                                   {"qwen2.rope.scaling.yarn_beta_fast", 16.0F},
                                   {"qwen2.rope.scaling.attn_factor", 0.5F}}),
            expected);
}

TEST(ReadGguf, FactorsOfFrequencies) {
  const auto with = [](std::vector<float> values) {
    return [values](FileParts& parts) {
      const auto bytes = std::as_bytes(std::span(values));
      parts.tensors["rope_freqs.weight"] = {
          {.name = "rope_freqs.weight", .type = 0, .dims = {values.size()}},
          {bytes.begin(), bytes.end()}};
    };
  };
  Changed ones(tiny_llama(), with({1, 1, 1, 1}));
  EXPECT_EQ(ones.config(), tiny_llama());
  ones.expect_same_weights();
  EXPECT_EQ(config_error(tiny_llama(), with({1, 8, 1, 8})).what,
            "the factors of RoPE's frequencies follow no known rule");
  EXPECT_EQ(config_error(tiny_llama(), with({1, 1, 1})).expected, "4 values of F32");
  // Those of Llama 3.1, known without further keys. Wavelengths here are 6.3, 167, 4443 and
  // 118146 tokens: the third lies in the passage from 8192 / 4 to 8192.
  ModelConfig config = tiny_llama();
  config.rope_theta = 500000.0F;
  const double wavelength = 2 * std::numbers::pi * std::pow(500000.0, 0.5);
  const double smooth = (8192 / wavelength - 1) / 3;
  const auto third = static_cast<float>(1 / ((1 - smooth) / 8 + smooth));
  Changed llama3(config, with({1, 1, third, 8}));
  EXPECT_EQ(llama3.config().rope_scaling,
            (RopeScaling{.kind = RopeKind::llama3, .factor = 8.0F, .original_context = 8192}));
  EXPECT_GT(third, 1.0F);
  EXPECT_LT(third, 8.0F);
}

TEST(ReadGguf, GptOss) {
  EXPECT_EQ(Changed(tiny_gpt_oss(),
                    [](FileParts& parts) {
                      EXPECT_EQ(parts.tensors.count("blk.0.post_attention_norm.weight"), 1U);
                      EXPECT_EQ(parts.tensors.at("blk.1.ffn_down_exps.bias").first.dims,
                                (std::vector<std::uint64_t>{32, 8}));
                      // Other programs do not say how the experts are weighed.
                      erase(parts, "gpt-oss.expert_gating_func");
                      erase(parts, "gpt-oss.expert_weights_norm");
                    })
                .config(),
            tiny_gpt_oss());
  Changed wide(tiny_gpt_oss(), [](FileParts& parts) {
    parts.metadata.set("gpt-oss.attention.sliding_window", std::uint32_t{128});
  });
  EXPECT_EQ(wide.config().sliding_window, 0);
  wide.expect_same_weights();
}

TEST(ReadGguf, Deepseek) {
  // Older files do not say the gating function, and no file of theirs the groups.
  Changed old(tiny_deepseek_v2_lite(), [](FileParts& parts) {
    erase(parts, "deepseek2.expert_gating_func");
    parts.tensors["blk.0.attn_k_b.weight"] = {
        {.name = "blk.0.attn_k_b.weight", .type = 0, .dims = {1}}, std::vector<std::byte>(4)};
  });
  EXPECT_EQ(old.config(), tiny_deepseek_v2_lite());
  old.expect_same_weights();
  Changed v3(tiny_deepseek_v3(), [](FileParts& parts) {
    erase(parts, "deepseek2.expert_group_count");
    erase(parts, "deepseek2.expert_group_used_count");
  });
  EXPECT_EQ(v3.config().family, Family::deepseek_v3);
  EXPECT_EQ(v3.config().moe->router.groups, 1);
  const auto divided = config_error(tiny_deepseek_v3(), [](FileParts& parts) {
    parts.metadata.set("deepseek2.attention.key_length_mla", std::uint32_t{20});
  });
  // With kv_b in two tensors (runtime/published_layouts_test.cc) these keys come together.
  EXPECT_EQ(divided.what, "key 'deepseek2.attention.value_length_mla' is missing");
}

TEST(ReadGguf, TensorsThatHaveNoPlace) {
  const auto with = [](const std::string& name) {
    return [name](FileParts& parts) {
      parts.tensors[name] = {{.name = name, .type = 0, .dims = {1}}, std::vector<std::byte>(4)};
    };
  };
  for (const char* name :
       {"blk.0.attn_output.bias", "blk.2.attn_norm.weight", "blk.0.ffn_gate_inp.weight"}) {
    Changed file(tiny_llama(), with(name));
    const auto error = error_of([&] { file.weights(); });
    EXPECT_THAT(error.what, HasSubstr("no place in a model of family llama with 2 layers")) << name;
    EXPECT_THAT(error.where, HasSubstr(name));
  }
}

TEST(ReadGguf, TypesThatAreNotComputed) {
  Changed file(tiny_llama(), [](FileParts& parts) {
    auto& [tensor, bytes] = parts.tensors.at("blk.1.ffn_up.weight");
    const GgufTensorType& type = *find_gguf_tensor_type(99);  // Q8_2_X4
    tensor.type = type.id;
    bytes.assign(tensor.elements() / type.elements * type.bytes, std::byte{});
  });
  const auto error = error_of([&] { file.weights(); });
  EXPECT_EQ(error.what, "tensors of type Q8_2_X4 are not computed");
  EXPECT_THAT(error.where, HasSubstr("tensor 'blk.1.ffn_up.weight'"));
  EXPECT_THAT(error.expected, HasSubstr("Q4_K"));
}

TEST(ReadGguf, MissingKeysAndTensors) {
  EXPECT_EQ(
      config_error(tiny_llama(), [](FileParts& parts) { erase(parts, "llama.context_length"); })
          .what,
      "key 'llama.context_length' is missing");
  EXPECT_EQ(
      config_error(tiny_llama(), [](FileParts& parts) { parts.tensors.erase("token_embd.weight"); })
          .what,
      "the tensor 'token_embd.weight' is missing");
  EXPECT_THAT(key_error("llama.vocab_size", std::uint32_t{95}).expected,
              HasSubstr("96, the rows of 'token_embd.weight'"));
  EXPECT_EQ(key_error("llama.attention.head_count_kv", std::uint32_t{3}).where, kFile);
}

}  // namespace
}  // namespace switchyard
