#include "runtime/work.h"

#include <algorithm>
#include <gtest/gtest.h>

#include "support/temporary_directory.h"
#include "support/tiny_model.h"

namespace switchyard::runtime {
namespace {

class WorkTest : public ::testing::Test {
 protected:
  std::shared_ptr<const Model> open(const ModelConfig& config, const ModelOptions& options = {}) {
    testing_support::write_tiny_model(real_file_system(), directory_ / "model", config);
    return Model::open(real_file_system(), directory_ / "model", options);
  }

  // The work of tokens [before, before + tokens), as the engine computes them.
  Work measured(const ModelConfig& config, int before, int tokens,
                const ModelOptions& options = {}) {
    Engine engine(open(config, options), {.threads = 1});
    WorkCounter counter(engine.model());
    Session session = engine.new_session();
    const std::vector<std::int32_t> ids(static_cast<std::size_t>(std::max(before, tokens)), 3);
    const auto step = [&](int count) {
      const StepInput input{.session = &session,
                            .tokens = std::span(ids).first(static_cast<std::size_t>(count))};
      engine.step(std::span(&input, 1),
                  {.on_route = [&](const RouteRecord& r) { counter.add_routes(r); }});
    };
    if (before > 0) step(before);
    counter.reset();
    counter.add_step(before, tokens);
    step(tokens);
    return counter.total();
  }

  testing_support::TemporaryDirectory directory_;
};

// tiny_mixtral in fp32: D = 32, 4 heads of 8 with 2 for keys and values, E = 8, K = 2, F = 24, V =
// 96, L = 2.
constexpr double kLayer = 32 * 32 + 2 * 16 * 32 + 32 * 32 + 8 * 32;
constexpr double kOutput = 96 * 32;
constexpr double kExpert = 3 * 32 * 24;
constexpr double kRow = 2 * 16;  // key and value of a token in a layer

TEST_F(WorkTest, ADecodedTokenReadsEveryDenseWeightItsExpertsAndTheCache) {
  const Work work = measured(testing_support::tiny_mixtral(), 5, 1);
  EXPECT_EQ(work.weight_bytes, 4 * (2 * kLayer + kOutput + 2 * 2 * kExpert));
  EXPECT_EQ(work.cache_bytes, 4 * 2 * kRow * 6);
  EXPECT_EQ(work.integer_operations, 0);
  EXPECT_EQ(work.float_operations,
            2 * (2 * kLayer + kOutput + 2 * 2 * kExpert) + 2 * 4 * (8 + 8) * 6 * 2);
}

TEST_F(WorkTest, APromptReadsWeightsOncePerRunAndMakesOneRowOfLogits) {
  const Work work = measured(testing_support::tiny_mixtral(), 0, 10, {.max_batch_tokens = 4});
  // The same token everywhere: its routes differ by position at most a little, so experts are
  // bounded.
  const double dense = 4 * (3 * 2 * kLayer + kOutput);
  EXPECT_GE(work.weight_bytes, dense + 4 * 3 * 2 * 2 * kExpert);
  EXPECT_LE(work.weight_bytes, dense + 4 * 3 * 2 * 8 * kExpert);
  EXPECT_EQ(work.cache_bytes, 4 * 2 * kRow * (4 + 8 + 10));
  EXPECT_EQ(work.float_operations, 2 * (10 * (2 * kLayer + 2 * 2 * kExpert) + kOutput) +
                                       2 * 4 * (8 + 8) * 55 * 2);  // 55 = 1 + 2 + ... + 10
}

TEST_F(WorkTest, OperationsAreThoseOfTheConfiguration) {
  for (const ModelConfig& config :
       {testing_support::tiny_llama(), testing_support::tiny_mixtral(),
        testing_support::tiny_qwen2_moe(), testing_support::tiny_qwen3_moe(),
        testing_support::tiny_windowed(), testing_support::tiny_recurrent()}) {
    for (const int before : {0, 9}) {
      const Work work = measured(config, before, 1);
      EXPECT_EQ(work.operations(), static_cast<double>(config.flops_per_token(before + 1)))
          << family_name(config.family) << " after " << before;
    }
  }
}

TEST_F(WorkTest, AWindowIsReadNotTheWholeCache) {
  const ModelConfig config = testing_support::tiny_windowed();  // 5 tokens
  const double row = 4.0 * 2 * config.kv_width() * config.layers;
  EXPECT_EQ(measured(config, 20, 1).cache_bytes, 5 * row);
  EXPECT_EQ(measured(config, 20, 3).cache_bytes, 7 * row);
  EXPECT_EQ(measured(config, 2, 4).cache_bytes, 6 * row);
}

TEST_F(WorkTest, TheMainTypeIsThatOfMostWeights) {
  EXPECT_EQ(main_weight_type(*open(testing_support::tiny_mixtral())), DType::f32);
  testing_support::write_tiny_model(real_file_system(), directory_ / "narrow",
                                    testing_support::tiny_llama(), 1, DType::bf16);
  EXPECT_EQ(main_weight_type(*Model::open(real_file_system(), directory_ / "narrow")), DType::bf16);
}

}  // namespace
}  // namespace switchyard::runtime
