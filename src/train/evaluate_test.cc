#include "train/evaluate.h"

#include <cmath>
#include <gtest/gtest.h>

#include <torch/types.h>
#include <torch/utils.h>

#include "train/testing_recipe.h"

namespace switchyard::train {
namespace {

using testing_support::MemoryFileSystem;

class EvaluateTest : public ::testing::Test {
 protected:
  // 101 tokens: 100 predictions.
  TokenFile text(int tokens = 101) {
    std::vector<std::int32_t> ids;
    for (int i = 0; i < tokens; ++i) ids.push_back(i * 7 % 280);
    write_token_file(fs_, "t", ids, 280, {.bytes = 400, .words = 50, .documents = 1}, 1);
    return TokenFile(fs_, "t", 280, 1);
  }

  MemoryFileSystem fs_;
  models::Decoder model_{model_config(tiny_recipe(), 280, std::nullopt), 1};
};

TEST_F(EvaluateTest, PredictsEveryTokenButTheFirstOnceForAnyShape) {
  const TokenFile file = text();
  for (const int sequence : {16, 10, 100, 128}) {
    EXPECT_EQ(evaluate(model_, file, {.sequence = sequence, .batch = 3}).tokens, 100U) << sequence;
  }
  const Evaluation one = evaluate(model_, file, {.sequence = 16, .batch = 1});
  const Evaluation many = evaluate(model_, file, {.sequence = 16, .batch = 5});
  EXPECT_NEAR(one.nll, many.nll, 1e-4 * one.nll);
}

TEST_F(EvaluateTest, AModelThatKnowsNothingHasTheVocabularyAsPerplexity) {
  {
    torch::NoGradGuard no_grad;
    model_.embedding.zero_();
  }
  const TokenFile file = text();
  const Evaluation result = evaluate(model_, file, {.sequence = 16, .batch = 4});
  EXPECT_NEAR(result.perplexity(), 280.0, 1e-2);
  const TextScore score = text_score(result, file);
  EXPECT_NEAR(score.word_perplexity, std::pow(280.0, 101.0 / 50.0), 1.0);
  EXPECT_NEAR(score.bits_per_byte, std::log2(280.0) * 101 / 400, 1e-4);
}

TEST_F(EvaluateTest, SomeWindowsAreSpreadAndStopsAreObeyed) {
  const TokenFile file = text();
  EXPECT_EQ(evaluate(model_, file, {.sequence = 16, .batch = 4, .windows = 3}).tokens, 48U);
  EXPECT_EQ(evaluate(model_, file, {.sequence = 16, .batch = 4, .windows = 1000}).tokens, 100U);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(evaluate(model_, file, {.sequence = 16, .batch = 4, .stop = stop.get_token()}).tokens,
            0U);
}

TEST_F(EvaluateTest, AnotherKAndWhatTheRoutersDid) {
  const TokenFile file = text();
  RoutingTotals own(RoutingTotals::Detail::evaluation);
  RoutingTotals all(RoutingTotals::Detail::evaluation);
  const double two = evaluate(model_, file, {.sequence = 16, .routing = &own}).nll;
  const double four =
      evaluate(model_, file, {.sequence = 16, .experts_per_token = 4, .routing = &all}).nll;
  EXPECT_NE(two, four);
  EXPECT_EQ(evaluate(model_, file, {.sequence = 16}).nll, two);
  const RoutingSummary summary = own.summary();
  EXPECT_EQ(summary.experts_per_token, 2.0);
  EXPECT_EQ(summary.experts_per_token_by_layer, (std::vector<double>{2.0, 2.0}));
  EXPECT_EQ(all.summary().experts_per_token, 4.0);
  EXPECT_NEAR(*all.summary().selected_mass, 1.0, 1e-6);
  EXPECT_EQ(*summary.skip_share, 0.0);
  // Random weights: nearly even probabilities over four experts.
  EXPECT_NEAR(*summary.router_entropy, std::log(4.0), 0.02);
  EXPECT_NEAR(*summary.selected_mass, 0.5, 0.05);
  EXPECT_GE(*summary.top_ratio, 1.0);
  EXPECT_LE(*summary.top_ratio, 1.2);
  const ModelConfig config = model_.config();
  EXPECT_DOUBLE_EQ(measured_active_parameters(config, own),
                   static_cast<double>(config.active_parameters()));
  EXPECT_DOUBLE_EQ(measured_flops_per_token(config, own, 16),
                   static_cast<double>(config.flops_per_token(16)));
  EXPECT_DOUBLE_EQ(measured_active_parameters(config, all),
                   static_cast<double>(config.parameters()));
}

}  // namespace
}  // namespace switchyard::train
