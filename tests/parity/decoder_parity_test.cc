// What was trained here runs in the runtime with the same logits and the same experts: libtorch's
// decoder against the runtime on one directory.
#include <functional>
#include <gtest/gtest.h>

#include <torch/types.h>
#include <torch/utils.h>

#include "switchyard/runtime.h"

#include "models/checkpoint_io.h"
#include "support/memory_file_system.h"
#include "support/tiny_model.h"

namespace switchyard {
namespace {

using namespace testing_support;

struct Case {
  const char* name;
  ModelConfig config;
};

ModelConfig with_kind(routing::Kind kind) {
  auto config = tiny_switchyard();
  routing::Config router;
  router.kind = kind;
  router.experts = config.moe->router.experts;
  router.experts_per_token = 2;
  router.seed = 77;
  config.moe->router = router;
  return config;
}

ModelConfig with_skips() {
  auto config = tiny_duo();
  config.moe->router.probabilities = {0.4F, 0.3F, 0.3F};
  return config;
}

// Duo-LLM's router with a skip among its options, or with a threshold kept as a selection bias.
ModelConfig duo_router(const std::function<void(routing::Config&)>& change) {
  auto config = tiny_duo_router();
  change(config.moe->router);
  return config;
}

ModelConfig with_router(const routing::Config& router) {
  auto config = tiny_switchyard();
  config.moe->router = router;
  config.moe->router.experts = 8;
  return config;
}

routing::Config top_p_router() {
  auto router = routing::default_config(routing::Kind::top_p);
  router.experts_per_token = 8;
  router.threshold = 0.5F;
  return router;
}

// Some items take no expert.
routing::Config sigmoid_router() {
  auto router = routing::default_config(routing::Kind::sigmoid_threshold);
  router.experts_per_token = 8;
  router.min_experts_per_token = 0;
  return router;
}

ModelConfig recurrent(routing::Cell cell, routing::StatePassing passing) {
  auto config = tiny_recurrent();
  config.moe->router.cell = cell;
  config.moe->router.state_passing = passing;
  return config;
}

ModelConfig with_top_k(const std::function<void(routing::Config&)>& change) {
  auto config = with_kind(routing::Kind::top_k);
  config.moe->router.seed = 0;
  change(config.moe->router);
  return config;
}

std::vector<Case> cases() {
  using routing::Cell;
  using routing::StatePassing;
  return {
      {"llama", tiny_llama()},
      {"mistral", tiny_mistral()},
      {"qwen2", tiny_qwen2()},
      {"mixtral", tiny_mixtral()},
      {"olmoe", tiny_olmoe()},
      {"qwen2_moe", tiny_qwen2_moe()},
      {"qwen3_moe", tiny_qwen3_moe()},
      {"qwen3", tiny_qwen3()},
      {"switchyard", tiny_switchyard()},
      {"hash", with_kind(routing::Kind::hash)},
      {"random", with_kind(routing::Kind::random)},
      {"top_p", with_router(top_p_router())},
      {"sigmoid_threshold", with_router(sigmoid_router())},
      {"null_experts", with_router({.experts_per_token = 3, .null_experts = 8})},
      {"null_experts_above_e", with_router({.experts_per_token = 10,
                                            .null_experts = 12,
                                            .null_weights = routing::NullWeights::all_selected})},
      {"duo", tiny_duo()},
      {"duo_router", tiny_duo_router()},
      {"duo_skip", with_skips()},
      {"duo_router_skip", duo_router([](auto& r) { r.null_experts = 1; })},
      {"duo_router_threshold", duo_router([](auto& r) {
         r.selection_bias = true;
         r.inverse_temperature = 4.0F;
       })},
      {"recurrent_gru", recurrent(Cell::gru, StatePassing::full)},
      {"recurrent_rnn", recurrent(Cell::rnn, StatePassing::detach)},
      {"recurrent_not_passed", recurrent(Cell::gru, StatePassing::none)},
      {"mlp_router", with_top_k([](auto& r) { r.router_hidden = 20; })},
      {"frozen_router", with_top_k([](auto& r) {
         r.frozen = true;
         r.softmax_after_selection = true;
         r.experts_per_token = 6;
       })}};
}

std::vector<std::int32_t> some_tokens(const ModelConfig& config, int count) {
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back((i * i * 5 + 11 * i + 3) % config.vocab);
  return tokens;
}

struct Run {
  std::vector<float> logits;                       // [T, V]
  std::vector<std::vector<std::int32_t>> experts;  // per MoE layer, item by item, best first
};

Run run_runtime(FileSystem& fs, const std::string& directory, std::span<const std::int32_t> tokens,
                const std::vector<routing::Decision>* forced) {
  const auto model = runtime::Model::open(fs, directory);
  runtime::Engine engine(model, {.threads = 1});
  auto session = engine.new_session(static_cast<int>(tokens.size()));
  Run run;
  runtime::StepOptions options;
  options.on_route = [&](const runtime::RouteRecord& record) {
    run.experts.push_back(record.decision->expert);
  };
  const runtime::StepInput input{
      .session = &session, .tokens = tokens, .all_logits = true, .forced = forced};
  run.logits = engine.step({&input, 1}, options)[0];
  return run;
}

Run run_libtorch(models::Decoder& model, std::span<const std::int32_t> tokens,
                 std::optional<models::ForcedRoutes> forced) {
  const torch::NoGradGuard no_grad;
  models::ForwardContext context;
  context.forced = std::move(forced);
  auto input = torch::tensor(std::vector<std::int32_t>(tokens.begin(), tokens.end()));
  const auto logits = model.forward(input.to(torch::kInt64).unsqueeze(0), context).contiguous();
  Run run;
  run.logits.assign(logits.data_ptr<float>(), logits.data_ptr<float>() + logits.numel());
  for (const auto& route : context.routes) {
    const auto chosen = route.indices.masked_select(route.indices >= 0).to(torch::kInt32);
    const auto* data = chosen.data_ptr<std::int32_t>();
    run.experts.emplace_back(data, data + chosen.numel());
  }
  return run;
}

void expect_same(const Run& actual, const Run& expected, const char* what) {
  EXPECT_EQ(actual.experts, expected.experts) << what;
  ASSERT_EQ(actual.logits.size(), expected.logits.size()) << what;
  float worst = 0, largest = 0;
  for (std::size_t i = 0; i < actual.logits.size(); ++i) {
    worst = std::max(worst, std::abs(actual.logits[i] - expected.logits[i]));
    largest = std::max(largest, std::abs(expected.logits[i]));
  }
  EXPECT_LE(worst, 1e-4F) << what;
  EXPECT_GT(largest, 0.5F) << what << ": the model says too little to compare";
}

class DecoderParity : public ::testing::TestWithParam<Case> {};

TEST_P(DecoderParity, RuntimeGivesTheLogitsAndExpertsOfLibtorch) {
  const auto& config = GetParam().config;
  MemoryFileSystem fs;
  write_tiny_model(fs, "model", config, 4);
  const auto model = models::load_model(fs, "model");
  const auto tokens = some_tokens(config, 40);
  const auto expected = run_libtorch(*model, tokens, std::nullopt);
  expect_same(run_runtime(fs, "model", tokens, nullptr), expected, "as it was");
  models::save_model(fs, *model, "saved");
  expect_same(run_runtime(fs, "saved", tokens, nullptr), expected, "saved by libtorch");
}

INSTANTIATE_TEST_SUITE_P(Models, DecoderParity, ::testing::ValuesIn(cases()),
                         [](const auto& test) { return std::string(test.param.name); });

void expect_forced_routes_mean_the_same(const ModelConfig& config) {
  MemoryFileSystem fs;
  write_tiny_model(fs, "model", config, 4);
  const auto model = models::load_model(fs, "model");
  const auto tokens = some_tokens(config, 6);
  // Expert (l + t) mod E with weight 1 for every token t but the last, which has none.
  const std::int64_t L = config.layers, T = static_cast<std::int64_t>(tokens.size());
  const auto E = config.moe->router.experts;
  auto experts = (torch::arange(L).unsqueeze(1) + torch::arange(T)).remainder(E);
  experts.select(1, T - 1).fill_(-1);
  std::vector<routing::Decision> decisions;
  for (std::int64_t l = 0; l < L; ++l) {
    routing::Decision decision;
    decision.experts = E;
    decision.offsets = {0};
    decision.counts.resize(E);
    for (std::int64_t t = 0; t < T; ++t) {
      const auto expert = experts[l][t].item<std::int64_t>();
      if (expert >= 0) {
        decision.expert.push_back(static_cast<std::int32_t>(expert));
        decision.weight.push_back(1);
        ++decision.counts[expert];
      }
      decision.offsets.push_back(static_cast<std::uint32_t>(decision.expert.size()));
    }
    decisions.push_back(std::move(decision));
  }
  expect_same(run_runtime(fs, "model", tokens, &decisions),
              run_libtorch(*model, tokens, models::ForcedRoutes{.experts = experts}), "forced");
}

TEST(DecoderParity, ForcedRoutesMeanTheSame) {
  for (const auto& config : {tiny_mixtral(), tiny_duo(), tiny_duo_router()}) {
    expect_forced_routes_mean_the_same(config);
  }
}

}  // namespace
}  // namespace switchyard
