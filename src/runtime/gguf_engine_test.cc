// Models from GGUF files: the same as from the directory they were made of, and, with quantised
// weights, the same under every setting that must not matter.
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <numeric>
#include <string>
#include <vector>

#include "switchyard/model_files.h"
#include "switchyard/runtime.h"
#include "switchyard/safetensors.h"

#include "formats/gguf/gguf_model.h"
#include "kernels/kernels.h"
#include "support/temporary_directory.h"
#include "support/tiny_model.h"

namespace switchyard::runtime {
namespace {

using testing_support::wide;

std::vector<std::int32_t> some_tokens(int vocab, std::size_t count) {
  std::vector<std::int32_t> tokens(count);
  std::uint32_t seed = 1;
  for (auto& t : tokens) {
    seed = seed * 1664525U + 1013904223U;
    t = static_cast<std::int32_t>((seed >> 8) % static_cast<std::uint32_t>(vocab));
  }
  return tokens;
}

struct NamedConfig {
  std::string name;
  ModelConfig config;
};

std::vector<NamedConfig> families() {
  return {{"llama", testing_support::tiny_llama()},
          {"mixtral", testing_support::tiny_mixtral()},
          {"olmoe", testing_support::tiny_olmoe()},
          {"qwen2", testing_support::tiny_qwen2()},
          {"qwen2_moe", testing_support::tiny_qwen2_moe()},
          {"qwen3", testing_support::tiny_qwen3()},
          {"qwen3_moe", testing_support::tiny_qwen3_moe()},
          {"deepseek_v2", testing_support::tiny_deepseek_v2()},
          {"deepseek_v3", testing_support::tiny_deepseek_v3()},
          {"gpt_oss", testing_support::tiny_gpt_oss()},
          {"switchyard", testing_support::tiny_switchyard()},
          {"recurrent", testing_support::tiny_recurrent()}};
}

class GgufEngineTest : public ::testing::Test {
 protected:
  std::string write(const ModelConfig& config, DType dtype = DType::f32) {
    const std::string path = directory_.path() + "/model" + std::to_string(count_++);
    testing_support::write_tiny_model(fs_, path, config, 7, dtype);
    return path;
  }

  std::string gguf_of(const std::string& directory, const GgufWriteOptions& options = {}) {
    const std::string path = directory_.path() + "/model" + std::to_string(count_++) + ".gguf";
    const ModelConfig config = read_model_config(fs_, directory);
    write_gguf(fs_, path, config, open_weights(fs_, directory, config), options);
    return path;
  }

  static GgufWriteOptions of_type(DType type, bool packed = false) {
    return {.type_of = [type](const std::string&, std::span<const std::int64_t>) { return type; },
            .packed = packed};
  }

  // A directory with the values that the weights of a GGUF file stand for, in fp32.
  std::string decoded(const std::string& directory, const std::string& gguf) {
    const std::string path = directory_.path() + "/model" + std::to_string(count_++);
    fs_.create_directories(path);
    write_file_atomically(fs_, path + "/config.json", read_file(fs_, directory + "/config.json"));
    const WeightFiles weights = open_weights(fs_, gguf, read_model_config(fs_, gguf));
    SafetensorsWriter writer;
    for (const auto& [name, tensor] : weights.tensors()) {
      const std::vector<float> values = weights.read_f32(name);
      const auto bytes = std::as_bytes(std::span(values));
      writer.add(name, DType::f32, tensor.shape, {bytes.begin(), bytes.end()});
    }
    writer.commit(fs_, path + "/model.safetensors");
    return path;
  }

  std::vector<float> all_logits(const std::string& path, std::span<const std::int32_t> tokens,
                                const ModelOptions& options = {}, int threads = 1) {
    Engine engine(Model::open(fs_, path, options), {.threads = threads});
    Session session = engine.new_session();
    const StepInput input{.session = &session, .tokens = tokens, .all_logits = true};
    return engine.step(std::span(&input, 1)).front();
  }

  testing_support::TemporaryDirectory directory_;
  FileSystem& fs_ = real_file_system();
  int count_ = 0;
};

TEST_F(GgufEngineTest, AModelGivesTheSameBitsFromADirectoryAndFromAGgufFile) {
  for (const NamedConfig& c : families()) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      const std::string directory = write(c.config, dtype);
      const auto tokens = some_tokens(c.config.vocab, 12);
      const auto expected = all_logits(directory, tokens);
      EXPECT_EQ(all_logits(gguf_of(directory), tokens), expected) << c.name;
      EXPECT_EQ(all_logits(gguf_of(directory, {.packed = true}), tokens), expected) << c.name;
    }
  }
}

// Products round their input to 8 bits; nothing else sets the two apart. All experts work for every
// token, so that no rounding changes who is chosen.
TEST_F(GgufEngineTest, QuantisedWeightsActAsTheValuesTheyStandFor) {
  const auto relative_difference = [&](ModelConfig config, DType type) {
    if (config.moe) config.moe->router.experts_per_token = config.moe->router.experts;
    const std::string directory = write(wide(config));
    const std::string gguf = gguf_of(directory, of_type(type));
    const auto tokens = some_tokens(config.vocab, 8);
    const auto expected = all_logits(decoded(directory, gguf), tokens);
    const auto actual = all_logits(gguf, tokens);
    EXPECT_EQ(actual.size(), expected.size());
    double difference = 0;
    double scale = 0;
    for (std::size_t i = 0; i < actual.size(); ++i) {
      difference += std::pow(double{actual[i]} - expected[i], 2);
      scale += std::pow(double{expected[i]}, 2);
    }
    return std::sqrt(difference / scale);
  };
  for (const NamedConfig& c : families()) {
    if (c.config.mla || c.name == "recurrent" || c.name == "gpt_oss") continue;  // not so wide
    EXPECT_LT(relative_difference(c.config, DType::f16), 1e-6) << c.name;
    const double rounded = relative_difference(c.config, DType::q8_0);
    EXPECT_GT(rounded, 0) << c.name;
    EXPECT_LT(rounded, 0.02) << c.name;
  }
  for (const DType type :
       {DType::q6_k, DType::q5_k, DType::q4_k, DType::q3_k, DType::q2_k, DType::q4_0, DType::q4_1,
        DType::q5_0, DType::q5_1, DType::iq4_nl, DType::iq4_xs, DType::mxfp4}) {
    EXPECT_LT(relative_difference(testing_support::tiny_olmoe(), type), 0.02) << dtype_name(type);
  }
}

TEST_F(GgufEngineTest, NoSettingChangesABitOfAQuantisedModel) {
  for (const ModelConfig& config :
       {wide(testing_support::tiny_olmoe()), wide(testing_support::tiny_qwen2_moe())}) {
    const std::string directory = write(config);
    const auto tokens = some_tokens(config.vocab, 40);
    for (const DType type : {DType::q4_0, DType::q8_0, DType::q4_k, DType::q6_k}) {
      const std::string gguf = gguf_of(directory, of_type(type));
      const auto expected = all_logits(gguf, tokens, {.kernels = "scalar"});
      for (const std::string& path : {gguf, gguf_of(directory, of_type(type, true))}) {
        for (const double share : {0.1, 0.5, 1.0}) {
          for (const auto& [threads, batch] :
               {std::pair(1, 64), std::pair(2, 7), std::pair(2, 1)}) {
            EXPECT_EQ(all_logits(path, tokens, {.expert_share = share, .max_batch_tokens = batch},
                                 threads),
                      expected)
                << dtype_name(type) << " " << share << " " << threads << " " << batch;
          }
        }
      }
      for (const kernels::KernelSet& set : kernels::all()) {
        if (!set.supported()) continue;
        EXPECT_EQ(all_logits(gguf, tokens, {.kernels = std::string(set.name)}), expected)
            << set.name;
      }
    }
  }
}

}  // namespace
}  // namespace switchyard::runtime
