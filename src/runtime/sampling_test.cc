#include "switchyard/sampling.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <vector>

#include "switchyard/error.h"

namespace switchyard {
namespace {

// Options under which every token keeps the model's own probability.
SamplingOptions plain() {
  SamplingOptions o;
  o.temperature = 1;
  o.top_k = 0;
  o.top_p = 1;
  o.min_p = 0;
  return o;
}

std::map<int, double> frequencies(const SamplingOptions& options, const std::vector<float>& logits,
                                  const std::vector<std::int32_t>& recent = {}, int draws = 40000) {
  Sampler sampler(options);
  std::map<int, double> seen;
  for (int i = 0; i < draws; ++i) seen[sampler.sample(logits, recent)] += 1.0 / draws;
  return seen;
}

const std::vector<float> kLogits = {std::log(0.5F), std::log(0.3F), std::log(0.15F),
                                    std::log(0.05F)};

TEST(Sampling, GreedyTakesTheBestAndTiesGoToTheLowerId) {
  SamplingOptions o;
  o.temperature = 0;
  Sampler sampler(o);
  EXPECT_EQ(sampler.sample(std::vector<float>{1, 3, 2}, {}), 1);
  EXPECT_EQ(sampler.sample(std::vector<float>{2, 5, 5}, {}), 1);
}

TEST(Sampling, FollowsTheProbabilities) {
  const auto seen = frequencies(plain(), kLogits);
  // Three standard deviations of a binomial share with 40000 draws are below 0.0076.
  EXPECT_NEAR(seen.at(0), 0.5, 0.0076);
  EXPECT_NEAR(seen.at(1), 0.3, 0.0076);
  EXPECT_NEAR(seen.at(2), 0.15, 0.0076);
  EXPECT_NEAR(seen.at(3), 0.05, 0.0076);
}

TEST(Sampling, TemperatureSharpens) {
  SamplingOptions o = plain();
  o.temperature = 0.5F;  // probabilities squared: 25 : 9 : 2.25 : 0.25
  EXPECT_NEAR(frequencies(o, kLogits).at(0), 25.0 / 36.5, 0.0076);
}

TEST(Sampling, TopKKeepsTheBest) {
  SamplingOptions o = plain();
  o.top_k = 2;
  const auto seen = frequencies(o, kLogits);
  EXPECT_EQ(seen.size(), 2U);
  EXPECT_NEAR(seen.at(0), 0.625, 0.0076);
}

TEST(Sampling, TopPKeepsTheSmallestSetThatReachesIt) {
  SamplingOptions o = plain();
  o.top_p = 0.6F;
  EXPECT_EQ(frequencies(o, kLogits).size(), 2U);
  o.top_p = 0.4F;
  EXPECT_EQ(frequencies(o, kLogits).size(), 1U);
}

TEST(Sampling, MinPDropsWhatIsFarBelowTheBest) {
  SamplingOptions o = plain();
  o.min_p = 0.2F;  // below 0.1
  EXPECT_EQ(frequencies(o, kLogits).size(), 3U);
}

TEST(Sampling, RepeatPenaltyLowersPositiveAndNegativeLogits) {
  SamplingOptions o = plain();
  o.temperature = 0;
  o.repeat_penalty = 2;
  Sampler sampler(o);
  EXPECT_EQ(sampler.sample(std::vector<float>{3, 2}, std::vector<std::int32_t>{0, 0}), 1);
  EXPECT_EQ(sampler.sample(std::vector<float>{-2, -3}, std::vector<std::int32_t>{0}), 1);
  o.repeat_window = 1;
  Sampler forgetful(o);
  EXPECT_EQ(forgetful.sample(std::vector<float>{3, 2}, std::vector<std::int32_t>{0, 1}), 0);
}

TEST(Sampling, SameSeedSameTokens) {
  SamplingOptions o = plain();
  o.seed = 42;
  Sampler a(o);
  Sampler b(o);
  o.seed = 43;
  Sampler other(o);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const auto token = a.sample(kLogits, {});
    EXPECT_EQ(token, b.sample(kLogits, {}));
    differs = differs || token != other.sample(kLogits, {});
  }
  EXPECT_TRUE(differs);
}

TEST(Sampling, ImpossibleOptionsNameTheFlag) {
  SamplingOptions o;
  o.top_p = 0;
  try {
    Sampler sampler(o);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.parts().where, "--top-p");
    EXPECT_THAT(e.parts().expected, ::testing::HasSubstr("more than 0"));
  }
}

}  // namespace
}  // namespace switchyard
