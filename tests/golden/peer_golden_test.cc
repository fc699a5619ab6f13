// Logits, chosen experts and greedy tokens against another program's, from the same GGUF files.
// tests/golden/peers/README.md says which program, and how the numbers were made.
//
// The files are written anew by every run; peers/*.json holds the checksum of those the peer read.
// After a meant change of the files:
//
//   SWITCHYARD_WRITE_PEER_MODELS=/tmp/models build/release/tests/golden/peer_golden_test
//
// writes them, with each one's prompt, for the peer to be run on.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "switchyard/model_files.h"
#include "switchyard/runtime.h"

#include "experts/checksum.h"
#include "formats/gguf/gguf_model.h"
#include "support/temporary_directory.h"
#include "support/tiny_model.h"

namespace switchyard {
namespace {

using nlohmann::json;
using namespace testing_support;

constexpr int kPromptTokens = 12;
constexpr std::uint64_t kSeed = 11;

// Largest difference of a logit over the root mean square of the logits.
struct Case {
  std::string name;
  ModelConfig config;
  DType type = DType::f32;
  double bound = 1e-4;
  bool directory = false;  // the peer reads Hugging Face's layout
};

// What the peer computes of DeepSeek: queries in two steps (unless there are as many layers as in
// V2-Lite), no choice of groups, one magnitude for YaRN's two.
ModelConfig plain_deepseek(ModelConfig config) {
  if (config.mla->q_rank == 0) config.mla->q_rank = 16;
  config.moe->router.groups = 1;
  config.moe->router.groups_per_token = 1;
  config.rope_scaling.mscale = config.rope_scaling.mscale_all_dim;
  return config;
}

// It takes a router in every layer of Qwen2-MoE for granted.
ModelConfig moe_everywhere(ModelConfig config) {
  config.layer_is_moe.assign(config.layer_is_moe.size(), true);
  return config;
}

// Its rotation takes heads of 16 values at least, and some of its families heads that fill the
// width.
ModelConfig heads_of_16(ModelConfig config) {
  config.head_dim = 16;
  config.heads = config.width / config.head_dim;
  config.kv_heads = 1;
  return config;
}

// All experts work for every token, so that no rounding changes who is chosen.
ModelConfig all_experts(ModelConfig config) {
  config.moe->router.experts_per_token = config.moe->router.experts;
  return config;
}

// Its YaRN begins and ends at whole dimensions, gpt-oss's does not.
ModelConfig without_yarn(ModelConfig config) {
  config.rope_scaling = {};
  return config;
}

std::vector<Case> cases() {
  std::vector<Case> list = {{"llama", heads_of_16(tiny_llama())},
                            {"llama3", heads_of_16(tiny_llama3())},
                            {"qwen2", heads_of_16(tiny_qwen2())},
                            {"qwen3", tiny_qwen3()},
                            {"mixtral", tiny_mixtral(), DType::f32, 1e-4, true},
                            {"qwen2_moe", heads_of_16(moe_everywhere(tiny_qwen2_moe()))},
                            {"qwen3_moe", tiny_qwen3_moe()},
                            {"deepseek_v2", plain_deepseek(tiny_deepseek_v2())},
                            {"deepseek_v3", plain_deepseek(tiny_deepseek_v3())},
                            {"gpt_oss", without_yarn(heads_of_16(tiny_gpt_oss()))},
                            {"olmoe", tiny_olmoe(), DType::f32, 1e-4, true}};
  // Both round activations to 8 bits, each in its own way.
  for (const DType type : {DType::bf16, DType::f16, DType::q8_0, DType::q4_0, DType::q4_1,
                           DType::q5_0, DType::q5_1, DType::q2_k, DType::q3_k, DType::q4_k,
                           DType::q5_k, DType::q6_k, DType::iq4_nl, DType::iq4_xs, DType::mxfp4}) {
    list.push_back({fmt::format("qwen3_moe-{}", dtype_name(type)),
                    all_experts(wide(tiny_qwen3_moe())), type,
                    type == DType::f16    ? 2e-3
                    : type == DType::bf16 ? 0.02
                                          : 0.06});
  }
  return list;
}

std::vector<std::int32_t> prompt_of(const ModelConfig& config) {
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < kPromptTokens; ++i) tokens.push_back((i * 29 + 7) % config.vocab);
  return tokens;
}

// Writes the model as `stem` or `stem`.gguf and returns the path of it, and of the file with
// weights.
struct Written {
  std::string model;
  std::string weights;
};
Written write_case(const Case& c, const std::string& stem) {
  FileSystem& fs = real_file_system();
  if (c.directory) {
    write_tiny_model(fs, stem, c.config, kSeed);
    return {stem, stem + "/model.safetensors"};
  }
  const TemporaryDirectory directory;
  write_tiny_model(fs, directory.path() + "/model", c.config, kSeed);
  const ModelConfig config = read_model_config(fs, directory.path() + "/model");
  GgufWriteOptions options;
  options.type_of = [&](const std::string&, std::span<const std::int64_t>) { return c.type; };
  options.metadata = {{"tokenizer.ggml.model", GgufValue(std::string("no_vocab"))}};
  const std::string path = stem + ".gguf";
  write_gguf(fs, path, config, open_weights(fs, directory.path() + "/model", config), options);
  return {path, path};
}

std::string checksum_of_file(const std::string& path) {
  const std::string bytes = read_file(real_file_system(), path);
  return fmt::format("{:016x}", experts::checksum_of(std::as_bytes(std::span(bytes))));
}

template <typename T>
double root_mean_square(const std::vector<T>& values) {
  double square = 0;
  for (const T v : values) square += double{v} * double{v};
  return std::sqrt(square / static_cast<double>(values.size()));
}

json sorted_experts(const routing::Decision& decision) {
  json rows = json::array();
  for (std::size_t n = 0; n < decision.items(); ++n) {
    std::vector<std::int32_t> row(decision.expert.begin() + decision.offsets[n],
                                  decision.expert.begin() + decision.offsets[n + 1]);
    std::ranges::sort(row);
    rows.push_back(row);
  }
  return rows;
}

class PeerGoldenTest : public ::testing::TestWithParam<Case> {};

TEST_P(PeerGoldenTest, TheSameFileGivesThePeersNumbers) {
  const Case& c = GetParam();
  FileSystem& fs = real_file_system();
  if (const char* to = std::getenv("SWITCHYARD_WRITE_PEER_MODELS")) {
    const Written written = write_case(c, fmt::format("{}/{}", to, c.name));
    const json about = {{"file", checksum_of_file(written.weights)},
                        {"prompt", prompt_of(c.config)}};
    write_file_atomically(fs, fmt::format("{}/{}.json", to, c.name), about.dump());
    GTEST_SKIP() << "wrote " << c.name;
  }
  const TemporaryDirectory directory;
  const Written written = write_case(c, directory.path() + "/model");
  const json golden =
      json::parse(read_file(fs, fmt::format("{}/{}.json", SWITCHYARD_PEER_DIRECTORY, c.name)));
  ASSERT_EQ(checksum_of_file(written.weights), golden.at("file").get<std::string>())
      << "the file is no longer the one the peer read";

  runtime::Engine engine(runtime::Model::open(fs, written.model, {}), {.threads = 2});
  runtime::Session session = engine.new_session();
  const auto prompt = golden.at("prompt").get<std::vector<std::int32_t>>();
  const auto vocab = static_cast<std::size_t>(c.config.vocab);
  json chosen = json::object();
  const runtime::StepOptions options{.on_route = [&](const runtime::RouteRecord& record) {
    chosen[std::to_string(record.layer)] = sorted_experts(*record.decision);
  }};
  const runtime::StepInput input{.session = &session, .tokens = prompt, .all_logits = true};
  const auto logits = engine.step(std::span(&input, 1), options).front();
  EXPECT_EQ(chosen, golden.at("experts"));

  double worst = 0;
  for (const auto& [position, values] : golden.at("logits").items()) {
    const auto expected = values.get<std::vector<double>>();
    ASSERT_EQ(expected.size(), vocab);
    const double scale = root_mean_square(expected);
    for (std::size_t i = 0; i < vocab; ++i) {
      const double actual = logits[std::stoul(position) * vocab + i];
      worst = std::max(worst, std::abs(actual - expected[i]) / scale);
    }
  }
  RecordProperty("largest_difference", fmt::format("{:.2e}", worst));
  EXPECT_LT(worst, c.bound);

  // The peer's tokens are fed, so that a near tie decided otherwise does not change all that
  // follows.
  std::vector<float> next(logits.end() - static_cast<std::ptrdiff_t>(vocab), logits.end());
  for (const std::int32_t token : golden.at("greedy").get<std::vector<std::int32_t>>()) {
    const float best = *std::ranges::max_element(next);
    EXPECT_GE(next[static_cast<std::size_t>(token)], best - 2 * c.bound * root_mean_square(next));
    const runtime::StepInput step{.session = &session, .tokens = {&token, 1}};
    next = engine.step(std::span(&step, 1)).front();
  }
}

INSTANTIATE_TEST_SUITE_P(Models, PeerGoldenTest, ::testing::ValuesIn(cases()),
                         [](const auto& test) {
                           std::string name = test.param.name;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace switchyard
