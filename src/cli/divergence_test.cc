#include "cli/divergence.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <vector>

#include "base/random.h"

namespace switchyard::cli {
namespace {

std::vector<float> random_logits(Random& random, std::size_t vocab, double deviation) {
  std::vector<float> logits(vocab);
  for (float& l : logits) l = static_cast<float>(deviation * random.normal());
  return logits;
}

// Uniform over V against logits (a, 0, ..., 0): KL = ln((V - 1 + e^a) / V) - a / V.
TEST(CompareLogits, UniformReferenceInClosedForm) {
  for (const std::size_t vocab : {2UL, 3UL, 1000UL, 151936UL}) {
    for (const float a : {-20.0F, -1.0F, 0.0F, 0.5F, 3.0F, 20.0F}) {
      const std::vector<float> uniform(vocab);
      std::vector<float> model(vocab);
      model[0] = a;
      const auto v = static_cast<double>(vocab);
      const double rounding = 1e-12 * (1 + std::fabs(a)) + 1e-16 * v;  // of a sum over V
      const double ln_sum = std::log((v - 1 + std::exp(static_cast<double>(a))) / v);
      const TokenDivergence d = compare_logits(uniform, model, 0);
      EXPECT_NEAR(d.kl, ln_sum - a / v, rounding) << vocab << " " << a;
      EXPECT_NEAR(d.reference_nll, std::log(v), rounding);
      EXPECT_NEAR(d.nll, ln_sum + std::log(v) - a, rounding);
      EXPECT_EQ(d.same_top, a >= 0);
    }
  }
}

// P = (p, 1 - p), Q = (q, 1 - q).
TEST(CompareLogits, TwoTokensInClosedForm) {
  for (const double p : {0.5, 0.9, 0.999999}) {
    for (const double q : {0.5, 0.1, 1e-6}) {
      const std::vector<float> reference{static_cast<float>(std::log(p)),
                                         static_cast<float>(std::log1p(-p))};
      const std::vector<float> model{static_cast<float>(std::log(q)),
                                     static_cast<float>(std::log1p(-q))};
      const double expected = p * std::log(p / q) + (1 - p) * std::log((1 - p) / (1 - q));
      EXPECT_NEAR(compare_logits(reference, model, 1).kl, expected, 2e-6 * (1 + expected));
    }
  }
}

TEST(CompareLogits, ConstantsAddedToAllLogitsChangeNothing) {
  Random random(1);
  const std::vector<float> p = random_logits(random, 500, 3);
  std::vector<float> q = random_logits(random, 500, 3);
  for (float& l : q) l = std::round(l * 256) / 256;  // so that the sum below is exact
  const TokenDivergence plain = compare_logits(p, q, 7);
  for (float& l : q) l += 1024;
  const TokenDivergence moved = compare_logits(p, q, 7);
  EXPECT_NEAR(moved.kl, plain.kl, 1e-10);
  EXPECT_NEAR(moved.nll, plain.nll, 1e-10);
}

TEST(CompareLogits, ZeroForItselfAndNeverNegative) {
  Random random(2);
  for (int i = 0; i < 50; ++i) {
    const std::vector<float> p = random_logits(random, 300, 8);
    EXPECT_EQ(compare_logits(p, p, 0).kl, 0);
    std::vector<float> q = p;
    q[static_cast<std::size_t>(i)] = std::nextafter(q[static_cast<std::size_t>(i)], 100.0F);
    EXPECT_GE(compare_logits(p, q, 0).kl, 0);
  }
}

// To second order, KL of a small change d of the logits is half the variance of d under P.
TEST(CompareLogits, SmallChangesAreHalfAVariance) {
  Random random(4);
  const std::vector<float> p = random_logits(random, 2000, 2);
  const std::vector<float> d = random_logits(random, 2000, 1e-2);
  std::vector<float> q = p;
  for (std::size_t i = 0; i < q.size(); ++i) q[i] += d[i];
  double sum = 0;
  double mean = 0;
  double square = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double weight = std::exp(static_cast<double>(p[i]));
    const double change = static_cast<double>(q[i]) - p[i];
    sum += weight;
    mean += weight * change;
    square += weight * change * change;
  }
  const double half_variance = (square / sum - mean / sum * mean / sum) / 2;
  EXPECT_NEAR(compare_logits(p, q, 0).kl, half_variance, 0.02 * half_variance);
}

TEST(CompareLogits, WhatIsNotFiniteShows) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinite = std::numeric_limits<float>::infinity();
  const std::vector<float> good{1, 2, 3};
  for (const float bad : {nan, infinite}) {
    for (std::size_t at = 0; at < good.size(); ++at) {
      std::vector<float> logits = good;
      logits[at] = bad;
      EXPECT_FALSE(std::isfinite(compare_logits(good, logits, 0).nll)) << bad << " at " << at;
      EXPECT_FALSE(std::isfinite(compare_logits(logits, good, 0).reference_nll));
    }
  }
}

TEST(Divergence, SumsUpOverTokens) {
  Divergence d;
  d.add({.kl = 0.1, .nll = 1, .reference_nll = 1.2, .same_top = true});
  d.add({.kl = 0.3, .nll = 3, .reference_nll = 2.4, .same_top = false});
  d.add({.kl = 0.2, .nll = 2, .reference_nll = 1.8, .same_top = true});
  EXPECT_EQ(d.count(), 3U);
  EXPECT_NEAR(d.kl().value, 0.2, 1e-12);
  EXPECT_NEAR(d.kl().error, 0.1 / std::sqrt(3.0), 1e-12);
  EXPECT_NEAR(d.kl_quantile(0.5).value, 0.2, 1e-7);
  EXPECT_NEAR(d.largest_kl(), 0.3, 1e-7);
  EXPECT_NEAR(d.same_top().value, 2.0 / 3, 1e-12);
  EXPECT_NEAR(d.log_ratio().value, 0.2, 1e-12);
  EXPECT_NEAR(d.reference_perplexity().value, std::exp(1.8), 1e-12);
  EXPECT_NEAR(d.perplexity_difference().value, std::exp(2.0) - std::exp(1.8), 1e-12);
  const double p0 = std::exp(-1.0) - std::exp(-1.2);
  const double p1 = std::exp(-3.0) - std::exp(-2.4);
  const double p2 = std::exp(-2.0) - std::exp(-1.8);
  EXPECT_NEAR(d.probability_difference().value, (p0 + p1 + p2) / 3, 1e-12);
  EXPECT_NEAR(d.probability_rms(), std::sqrt((p0 * p0 + p1 * p1 + p2 * p2) / 3), 1e-12);
}

// Tokens are hard or easy for both models: the difference is known better than each perplexity,
// and its interval holds the truth about as often as it says.
TEST(Divergence, DifferenceOfPerplexitiesIsPaired) {
  Random random(5);
  int covered = 0;
  constexpr int kTrials = 500;
  // nll ~ N(2, 1) + shift, so both means are known.
  const double truth = std::exp(2.05) - std::exp(2.0);
  for (int t = 0; t < kTrials; ++t) {
    Divergence d;
    for (int i = 0; i < 400; ++i) {
      const double hard = 2 + random.normal();
      d.add({.kl = 0, .nll = hard + 0.05 + 0.02 * random.normal(), .reference_nll = hard});
    }
    const Estimate e = d.perplexity_difference();
    EXPECT_LT(e.error, 0.2 * d.reference_perplexity().error);
    covered += e.low() < truth && truth < e.high() ? 1 : 0;
  }
  EXPECT_NEAR(covered, 475, 25);
}

}  // namespace
}  // namespace switchyard::cli
