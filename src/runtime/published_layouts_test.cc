// Checkpoints in the layouts people publish them in run as those in our own layout do, bit for bit;
// and a checkpoint that holds something else than numbers gives an Error, not text.
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>
#include <string>
#include <vector>

#include "switchyard/expert_pack.h"
#include "switchyard/gguf.h"
#include "switchyard/model_files.h"
#include "switchyard/runtime.h"
#include "switchyard/safetensors.h"

#include "formats/finite_check.h"
#include "formats/gguf/gguf_model.h"
#include "formats/gguf/testing_model.h"
#include "support/errors.h"
#include "support/merged_checkpoint.h"
#include "support/temporary_directory.h"
#include "support/tiny_model.h"

namespace switchyard::runtime {
namespace {

using namespace testing_support;
using testing::HasSubstr;
using testing_gguf::FileParts;

class PublishedLayouts : public testing::Test {
 protected:
  std::string path(const std::string& name) { return directory_.path() + "/" + name; }

  std::vector<float> logits(const std::string& model, const ModelOptions& options = {}) {
    std::vector<std::int32_t> tokens(9);
    std::iota(tokens.begin(), tokens.end(), 0);
    Engine engine(Model::open(fs_, model, options), {.threads = 2});
    Session session = engine.new_session();
    const StepInput input{.session = &session, .tokens = tokens, .all_logits = true};
    return engine.step(std::span(&input, 1)).front();
  }

  void to_gguf(const std::string& from, const std::string& to, std::optional<DType> type) {
    const ModelConfig config = read_model_config(fs_, from);
    write_gguf(
        fs_, to, config, open_weights(fs_, from, config),
        {.type_of = [type](const std::string&, std::span<const std::int64_t>) { return type; }});
  }

  // Experts in MXFP4, the rest as it is, as gpt-oss is published.
  void to_mxfp4_gguf(const std::string& from, const std::string& to) {
    const ModelConfig config = read_model_config(fs_, from);
    write_gguf(fs_, to, config, open_weights(fs_, from, config),
               {.type_of = [](const std::string& tensor, std::span<const std::int64_t>) {
                 return tensor.find("_exps") == std::string::npos ? std::nullopt
                                                                  : std::optional(DType::mxfp4);
               }});
  }

  TemporaryDirectory directory_;
  FileSystem& fs_ = real_file_system();
};

TEST_F(PublishedLayouts, ExpertsInOneTensor) {
  for (const ModelConfig& config : {tiny_gpt_oss(), tiny_qwen3_moe(), tiny_mixtral()}) {
    const std::string name(family_name(config.family));
    write_tiny_model(fs_, path(name), config, 5);
    write_merged_checkpoint(fs_, path(name), path(name + "_merged"), MergedForm::plain);
    const auto expected = logits(path(name));
    EXPECT_EQ(logits(path(name + "_merged")), expected) << name;
  }
}

TEST_F(PublishedLayouts, GptOssInMxfp4) {
  ModelConfig config = tiny_gpt_oss();
  config.moe->expert.hidden = 64;
  write_tiny_model(fs_, path("apart"), config, 5);
  write_merged_checkpoint(fs_, path("apart"), path("published"), MergedForm::mxfp4);
  to_mxfp4_gguf(path("apart"), path("m.gguf"));
  const auto expected = logits(path("m.gguf"));
  EXPECT_EQ(logits(path("published")), expected);
  EXPECT_NE(logits(path("apart")), expected);  // rounding did something

  // Few experts fit at a time.
  const std::uint64_t expert = [&] {
    const auto store = experts::open_in_place(fs_, path("published"), config);
    return experts::Cache::floor_bytes(*store.store, {});
  }();
  for (const experts::IoBackend io : {experts::IoBackend::automatic, experts::IoBackend::pread}) {
    const auto store = experts::open_in_place(fs_, path("published"), config);
    experts::Cache cache(store.store, {.budget = expert, .io = io});
    const std::vector<std::uint32_t> all = {0, 5, 1, 7};
    std::size_t seen = 0;
    const WeightFiles weights = open_weights(fs_, path("published"), config);
    const WeightNames names(config.family);
    cache.acquire_each(
        1, all, [&](std::span<const std::size_t> positions, std::span<const experts::Pin> pins) {
          for (std::size_t i = 0; i < positions.size(); ++i, ++seen) {
            const auto e = static_cast<int>(all[positions[i]]);
            for (const experts::Part& part : store.parts[1][static_cast<std::size_t>(e)]) {
              std::vector<std::byte> bytes(part.bytes);
              weights.read(weights.find(names.expert(1, e, part.name)), bytes);
              const auto there = pins[i].part(part.extent).subspan(part.offset, part.bytes);
              EXPECT_TRUE(std::ranges::equal(there, bytes)) << e << part.name;
            }
          }
        });
    EXPECT_EQ(seen, all.size());
    EXPECT_LE(cache.stats().peak_bytes, expert);
  }

  // Packed beside the weights, the experts are the same again.
  experts::write_pack(fs_, path("published"), config);
  EXPECT_EQ(logits(path("published")), expected);
}

TEST_F(PublishedLayouts, AScaleThatIsNoNumberStopsTheRead) {
  ModelConfig config = tiny_gpt_oss();
  config.moe->router.experts_per_token = config.moe->router.experts;
  config.moe->expert.hidden = 32;
  write_tiny_model(fs_, path("apart"), config, 5);
  write_merged_checkpoint(fs_, path("apart"), path("published"), MergedForm::mxfp4);
  const SafetensorsReader reader(fs_, path("published"));
  const TensorInfo scales = reader.find("model.layers.1.mlp.experts.gate_up_proj_scales");
  std::string bytes = read_file(fs_, path("published/model.safetensors"));
  bytes[static_cast<std::size_t>(scales.offset) + 7] = '\xff';
  write_file_atomically(fs_, path("published/model.safetensors"), bytes);
  const auto error = error_of([&] { logits(path("published")); });
  EXPECT_EQ(error.what, "the scale of a block is not a number");
  EXPECT_THAT(error.where, HasSubstr("model.layers.1.mlp.experts.gate_up_proj_scales"));
}

// kv_b in two tensors, as newer GGUF files of DeepSeek have it.
void put_latent_in_two(FileParts& parts, const ModelConfig& config) {
  const MlaConfig& mla = *config.mla;
  const auto heads = static_cast<std::size_t>(config.heads);
  const auto nope = static_cast<std::size_t>(mla.nope_dim);
  const auto value = static_cast<std::size_t>(mla.value_dim);
  const auto rank = static_cast<std::size_t>(mla.kv_rank);
  for (int l = 0; l < config.layers; ++l) {
    const std::string blk = "blk." + std::to_string(l) + ".";
    const auto [tensor, bytes] = parts.tensors.at(blk + "attn_kv_b.weight");
    parts.tensors.erase(blk + "attn_kv_b.weight");
    const std::size_t size = bytes.size() / (heads * (nope + value) * rank);
    std::vector<std::byte> keys;
    std::vector<std::byte> values;
    const auto copy = [&](std::vector<std::byte>& to, std::size_t h, std::size_t row,
                          std::size_t column) {
      const std::size_t at = ((h * (nope + value) + row) * rank + column) * size;
      to.insert(to.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at),
                bytes.begin() + static_cast<std::ptrdiff_t>(at + size));
    };
    for (std::size_t h = 0; h < heads; ++h) {
      for (std::size_t r = 0; r < rank; ++r) {
        for (std::size_t i = 0; i < nope; ++i) copy(keys, h, i, r);
      }
      for (std::size_t i = 0; i < value; ++i) {
        for (std::size_t r = 0; r < rank; ++r) copy(values, h, nope + i, r);
      }
    }
    const auto put = [&](const std::string& name, std::vector<std::uint64_t> dims,
                         std::vector<std::byte> data) {
      parts.tensors[blk + name] = {
          {.name = blk + name, .type = tensor.type, .dims = std::move(dims)}, std::move(data)};
    };
    put("attn_k_b.weight", {nope, rank, heads}, std::move(keys));
    put("attn_v_b.weight", {rank, value, heads}, std::move(values));
  }
  const auto set = [&](const std::string& key, int number) {
    parts.metadata.set("deepseek2.attention." + key, static_cast<std::uint32_t>(number));
  };
  set("key_length_mla", config.head_dim);
  set("value_length_mla", mla.value_dim);
  set("key_length", mla.cached_width());
  set("value_length", mla.kv_rank);
  set("head_count_kv", 1);
}

TEST_F(PublishedLayouts, LatentAttentionInTwoTensors) {
  for (const ModelConfig& config : {testing_gguf::tiny_deepseek_v2_lite(), tiny_deepseek_v3()}) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const std::string name(family_name(config.family));
      write_tiny_model(fs_, path(name), config, 5, dtype);
      to_gguf(path(name), path("joined.gguf"), std::nullopt);
      FileParts parts{GgufReader(fs_, path("joined.gguf"))};
      put_latent_in_two(parts, config);
      parts.write(fs_, path("in_two.gguf"));
      EXPECT_EQ(read_model_config(fs_, path("in_two.gguf")),
                read_model_config(fs_, path("joined.gguf")));
      EXPECT_EQ(logits(path("in_two.gguf")), logits(path("joined.gguf"))) << name;
      // Written again it has the one tensor.
      to_gguf(path("in_two.gguf"), path("again.gguf"), std::nullopt);
      EXPECT_EQ(logits(path("again.gguf")), logits(path("joined.gguf"))) << name;
    }
  }
}

TEST_F(PublishedLayouts, LatentAttentionInTwoTensorsThatDoNotFit) {
  const ModelConfig config = testing_gguf::tiny_deepseek_v2_lite();
  write_tiny_model(fs_, path("hf"), config, 5);
  to_gguf(path("hf"), path("m.gguf"), std::nullopt);
  const auto error = [&](auto&& change) {
    FileParts parts{GgufReader(fs_, path("m.gguf"))};
    put_latent_in_two(parts, config);
    change(parts);
    parts.write(fs_, path("changed.gguf"));
    return error_of([&] { logits(path("changed.gguf")); });
  };
  const auto swapped = error([](FileParts& parts) {
    std::swap(parts.tensors.at("blk.1.attn_k_b.weight").first.dims[0],
              parts.tensors.at("blk.1.attn_k_b.weight").first.dims[1]);
  });
  EXPECT_THAT(swapped.what, HasSubstr("the dimensions are"));
  EXPECT_THAT(swapped.where, HasSubstr("'blk.1.attn_k_b.weight'"));
  const auto missing =
      error([](FileParts& parts) { parts.tensors.erase("blk.0.attn_v_b.weight"); });
  EXPECT_EQ(missing.what, "the tensor is missing");
  EXPECT_THAT(missing.where, HasSubstr("'blk.0.attn_kv_b.weight'"));
  EXPECT_THAT(missing.expected, HasSubstr("as the metadata says"));
  const auto unsaid = error([](FileParts& parts) {
    parts.metadata.set("deepseek2.attention.key_length", std::uint32_t{7});
  });
  EXPECT_THAT(unsaid.what, HasSubstr("deepseek2.attention.key_length"));
}

// Every tensor in turn gets a NaN, an infinite value or scale: the check names it, and the engine
// says that there are no logits rather than handing them out. All experts work for every token.
TEST_F(PublishedLayouts, WhatIsNotANumberGivesAnErrorAndNoLogits) {
  for (ModelConfig config : {tiny_qwen2_moe(), tiny_gpt_oss(), tiny_deepseek_v3()}) {
    config.moe->router.experts_per_token = config.moe->router.experts;
    config.moe->router.groups = config.moe->router.groups_per_token = 1;
    config.moe->expert.hidden = 32;
    config.dense.hidden = 32;
    if (config.moe->shared_hidden > 0) config.moe->shared_hidden = 32;
    const std::string name(family_name(config.family));
    write_tiny_model(fs_, path(name), config, 5);
    to_gguf(path(name), path("whole.gguf"), std::nullopt);
    const FileParts whole{GgufReader(fs_, path("whole.gguf"))};
    for (const auto& [tensor_name, entry] : whole.tensors) {
      if (tensor_name == "rope_freqs.weight") continue;
      FileParts parts = whole;
      const float nan = std::numeric_limits<float>::quiet_NaN();
      std::memcpy(parts.tensors.at(tensor_name).second.data(), &nan, sizeof nan);
      parts.write(fs_, path("damaged.gguf"));
      const auto error = error_of([&] { logits(path("damaged.gguf")); });
      // A router notices by itself.
      EXPECT_THAT(error.what,
                  testing::AnyOf("the logits of position 0 are not numbers",
                                 HasSubstr("router logit is"), HasSubstr("selection bias is")))
          << name << tensor_name;
      if (error.what.starts_with("the logits")) {
        EXPECT_EQ(error.where, path("damaged.gguf"));
      }
      EXPECT_THAT(error.fix, HasSubstr("inspect MODEL --check"));
      const WeightFiles weights =
          open_weights(fs_, path("damaged.gguf"), read_model_config(fs_, path("damaged.gguf")));
      const auto damaged = error_of([&] {
        for (const auto& [weight, tensor] : weights.tensors()) {
          check_finite(weights, tensor, nullptr);
        }
      });
      EXPECT_EQ(damaged.what, "a weight is nan");
      EXPECT_THAT(damaged.where, HasSubstr("'" + tensor_name + "'"));
    }
  }
}

// Scales of blocks likewise, in each quantised type: bits of an f16 that is NaN or infinite.
TEST_F(PublishedLayouts, ScalesThatAreNotNumbers) {
  ModelConfig config = tiny_qwen3();
  config.width = 256;
  config.head_dim = 64;
  config.dense.hidden = 256;
  write_tiny_model(fs_, path("hf"), config, 5);
  struct Type {
    DType dtype;
    std::size_t scale;  // where its bits begin in a block
  };
  for (const Type& type :
       {Type{DType::q4_0, 0}, Type{DType::q4_1, 0}, Type{DType::q4_1, 2}, Type{DType::q8_0, 0},
        Type{DType::q4_k, 0}, Type{DType::q4_k, 2}, Type{DType::q6_k, 208}, Type{DType::q2_k, 80},
        Type{DType::q3_k, 108}, Type{DType::iq4_xs, 0}}) {
    to_gguf(path("hf"), path("whole.gguf"), type.dtype);
    for (const std::uint16_t bits : {0x7e00, 0x7c00, 0xfc00}) {
      FileParts parts{GgufReader(fs_, path("whole.gguf"))};
      std::memcpy(parts.tensors.at("blk.1.ffn_up.weight").second.data() + type.scale, &bits,
                  sizeof bits);
      parts.write(fs_, path("damaged.gguf"));
      const std::string where(dtype_name(type.dtype));
      const auto error = error_of([&] { logits(path("damaged.gguf")); });
      EXPECT_THAT(error.what, HasSubstr("are not numbers")) << where << bits;
      const WeightFiles weights = open_weights(fs_, path("damaged.gguf"), config);
      const auto damaged = error_of([&] {
        check_finite(weights, weights.find("model.layers.1.mlp.up_proj.weight"), nullptr);
      });
      EXPECT_THAT(damaged.where, HasSubstr("'blk.1.ffn_up.weight'")) << where << bits;
      EXPECT_THAT(
          error_of([&] { to_gguf(path("damaged.gguf"), path("x.gguf"), std::nullopt); }).where,
          HasSubstr("'blk.1.ffn_up.weight'"))
          << where << bits;
    }
  }
}

}  // namespace
}  // namespace switchyard::runtime
