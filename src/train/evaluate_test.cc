#include "train/evaluate.h"

#include <cmath>
#include <gtest/gtest.h>

#include <torch/torch.h>

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
    EXPECT_EQ(evaluate(model_, file, sequence, 3, 0, torch::kCPU).tokens, 100U) << sequence;
  }
  const Evaluation one = evaluate(model_, file, 16, 1, 0, torch::kCPU);
  const Evaluation many = evaluate(model_, file, 16, 5, 0, torch::kCPU);
  EXPECT_NEAR(one.nll, many.nll, 1e-4 * one.nll);
}

TEST_F(EvaluateTest, AModelThatKnowsNothingHasTheVocabularyAsPerplexity) {
  {
    torch::NoGradGuard no_grad;
    model_.embedding.zero_();
  }
  const TokenFile file = text();
  const Evaluation result = evaluate(model_, file, 16, 4, 0, torch::kCPU);
  EXPECT_NEAR(result.perplexity(), 280.0, 1e-2);
  const TextScore score = text_score(result, file);
  EXPECT_NEAR(score.word_perplexity, std::pow(280.0, 101.0 / 50.0), 1.0);
  EXPECT_NEAR(score.bits_per_byte, std::log2(280.0) * 101 / 400, 1e-4);
}

TEST_F(EvaluateTest, SomeWindowsAreSpreadAndStopsAreObeyed) {
  const TokenFile file = text();
  EXPECT_EQ(evaluate(model_, file, 16, 4, 3, torch::kCPU).tokens, 48U);
  EXPECT_EQ(evaluate(model_, file, 16, 4, 1000, torch::kCPU).tokens, 100U);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(evaluate(model_, file, 16, 4, 0, torch::kCPU, stop.get_token()).tokens, 0U);
}

}  // namespace
}  // namespace switchyard::train
