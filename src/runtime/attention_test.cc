// What is particular to one kind of attention, to scaled positions, and to DeepSeek's routers. That
// all of them compute what the reference decoder does is in engine_test.cc.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "switchyard/runtime.h"
#include "switchyard/safetensors.h"

#include "runtime/kv_cache.h"
#include "runtime/rope.h"
#include "support/memory_file_system.h"
#include "support/tiny_model.h"

namespace switchyard::runtime {
namespace {

std::vector<std::int32_t> some_tokens(std::size_t count) {
  std::vector<std::int32_t> tokens;
  for (std::size_t i = 0; i < count; ++i) {
    tokens.push_back(static_cast<std::int32_t>((i * i * 5 + 11 * i + 3) % 96));
  }
  return tokens;
}

std::vector<float> all_logits(FileSystem& fs, const std::vector<std::int32_t>& tokens,
                              const StepOptions& options = {}) {
  Engine engine(Model::open(fs, "m"), {.threads = 1});
  Session session = engine.new_session();
  const StepInput input{.session = &session, .tokens = tokens, .all_logits = true};
  return engine.step(std::span(&input, 1), options).front();
}

std::vector<float> cosines(const RopeTable& table, int position) {
  const auto row = table.cosines(position);
  return {row.begin(), row.end()};
}

TEST(RopeTable, LinearScalingIsAPositionBetweenPositions) {
  const RopeTable plain(8, 16, 1e4F);
  const RopeTable scaled(16, 16, 1e4F, {.kind = RopeKind::linear, .factor = 2.0F});
  for (int p = 0; p < 8; ++p) EXPECT_EQ(cosines(scaled, 2 * p), cosines(plain, p));
}

// Pairs of 16 elements with base 100 turn 64 / (2 pi) * 100^(-i / 8) times in 64 tokens: 10.2, 5.7,
// 3.2, 1.8, 1.02, 0.57, 0.32, 0.18.
TEST(RopeTable, Llama3DividesOnlyTheLowFrequencies) {
  const RopeScaling scaling{.kind = RopeKind::llama3, .factor = 8.0F, .original_context = 64};
  const auto plain = cosines(RopeTable(10, 16, 100.0F), 9);
  const auto divided =
      cosines(RopeTable(10, 16, 100.0F, {.kind = RopeKind::linear, .factor = 8.0F}), 9);
  const auto scaled = cosines(RopeTable(10, 16, 100.0F, scaling), 9);
  for (std::size_t i : {0U, 1U}) EXPECT_EQ(scaled[i], plain[i]) << i;
  for (std::size_t i : {5U, 6U, 7U}) EXPECT_FLOAT_EQ(scaled[i], divided[i]) << i;
  // Pair 2, 3.18 turns of 1 to 4: (1 - 0.727) / 8 + 0.727 of its frequency.
  const double turns = 64 / (2 * M_PI) * std::pow(100.0, -0.25), kept = (turns - 1) / 3;
  EXPECT_NEAR(scaled[2], std::cos(9 * std::pow(100.0, -0.25) * ((1 - kept) / 8 + kept)), 1e-6);
}

TEST(RopeTable, YarnDividesByDimensionAndMultipliesAll) {
  const RopeScaling scaling{
      .kind = RopeKind::yarn, .factor = 4.0F, .original_context = 64, .beta_fast = 4.0F};
  const float grown = 0.1F * std::log(4.0F) + 1.0F;
  const auto plain = cosines(RopeTable(10, 16, 100.0F), 9);
  const auto divided =
      cosines(RopeTable(10, 16, 100.0F, {.kind = RopeKind::linear, .factor = 4.0F}), 9);
  const auto scaled = cosines(RopeTable(10, 16, 100.0F, scaling), 9);
  // 4 turns lie at pair 1.6 and one turn at pair 4.03, so the passage is from 1 to 5.
  for (std::size_t i : {0U, 1U}) EXPECT_FLOAT_EQ(scaled[i], plain[i] * grown) << i;
  for (std::size_t i : {5U, 6U, 7U}) EXPECT_FLOAT_EQ(scaled[i], divided[i] * grown) << i;
  const double frequency = std::pow(100.0, -3.0 / 8) * (0.5 / 4 + 0.5);
  EXPECT_NEAR(scaled[3], std::cos(9 * frequency) * grown, 1e-6);
}

// Twice the context with factor 2: alpha is 2 * 2 - 1 = 3, theta 100 * 3^(16 / 14).
TEST(RopeTable, DynamicScalingGrowsTheBaseWithTheContext) {
  const RopeScaling scaling{.kind = RopeKind::dynamic, .factor = 2.0F, .original_context = 64};
  const RopeTable scaled(128, 16, 100.0F, scaling);
  const auto base = static_cast<float>(100 * std::pow(3.0, 16.0 / 14));
  EXPECT_EQ(cosines(scaled, 90), cosines(RopeTable(91, 16, base), 90));
  // Up to the original context nothing is scaled.
  EXPECT_EQ(cosines(RopeTable(64, 16, 100.0F, scaling), 63),
            cosines(RopeTable(64, 16, 100.0F), 63));
  // Given, alpha holds whatever the context.
  const RopeScaling given{.kind = RopeKind::dynamic, .alpha = 3.0F};
  EXPECT_EQ(cosines(RopeTable(10, 16, 100.0F, given), 9), cosines(RopeTable(10, 16, base), 9));
}

// Two layers that look 5 tokens back: a token reaches 4 + 4 further ones, and no more.
TEST(SlidingWindow, ATokenBehindItIsForgotten) {
  testing_support::MemoryFileSystem fs;
  testing_support::write_tiny_model(fs, "m", testing_support::tiny_windowed(), 3);
  auto tokens = some_tokens(14);
  const auto before = all_logits(fs, tokens);
  tokens[0] = 95;
  const auto after = all_logits(fs, tokens);
  const auto row = [](const std::vector<float>& logits, std::size_t t) {
    return std::vector(logits.begin() + static_cast<std::ptrdiff_t>(t * 96),
                       logits.begin() + static_cast<std::ptrdiff_t>((t + 1) * 96));
  };
  for (std::size_t t = 0; t < 9; ++t) EXPECT_NE(row(after, t), row(before, t)) << t;
  for (std::size_t t = 9; t < 14; ++t) EXPECT_EQ(row(after, t), row(before, t)) << t;
}

TEST(LatentAttention, CachesOneRowATokenForAllHeads) {
  testing_support::MemoryFileSystem fs;
  const ModelConfig config = testing_support::tiny_deepseek_v2();
  testing_support::write_tiny_model(fs, "m", config, 3);
  // Two layers of 20 + 8 values; keys and values of 4 heads would be 4 * (20 + 10).
  EXPECT_EQ(kv_bytes(config, 64), 2U * 64 * 28 * sizeof(float));
  const auto model = Model::open(fs, "m");
  Engine engine(model, {.threads = 1});
  Session session = engine.new_session(64);
  EXPECT_EQ(model->ledger().held(Purpose::kv_cache), kv_bytes(config, 64));
}

TEST(LatentAttention, ItsPartsAreBookedAsTheyAreHeld) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    testing_support::MemoryFileSystem fs;
    testing_support::write_tiny_model(fs, "m", testing_support::tiny_deepseek_v3(), 3, dtype);
    const auto model = Model::open(fs, "m");
    EXPECT_EQ(model->ledger().held(Purpose::dense_weights), model->dense_bytes());
  }
}

// DeepSeek-V2's and V3's choice and weights, from the router's logits in double.
struct Choice {
  std::vector<std::int32_t> experts;  // ascending
  std::vector<double> weights;        // of them
};

Choice chosen_by_formula(const routing::Config& router, std::span<const float> logits,
                         std::span<const float> bias) {
  const auto experts = static_cast<std::size_t>(router.experts);
  const bool sigmoid = router.score == routing::Score::sigmoid;
  std::vector<double> scores;
  for (const float logit : logits) {
    scores.push_back(sigmoid ? 1 / (1 + std::exp(-static_cast<double>(logit)))
                             : std::exp(static_cast<double>(logit)));
  }
  if (!sigmoid) {
    const double sum = std::accumulate(scores.begin(), scores.end(), 0.0);
    for (double& s : scores) s /= sum;
  }
  std::vector<double> biased = scores;
  for (std::size_t e = 0; e < bias.size(); ++e) biased[e] += bias[e];
  const std::size_t members = experts / static_cast<std::size_t>(router.groups);
  std::vector<std::pair<double, std::size_t>> groups;
  for (std::size_t g = 0; g < static_cast<std::size_t>(router.groups); ++g) {
    std::vector<double> of_group(biased.begin() + static_cast<std::ptrdiff_t>(g * members),
                                 biased.begin() + static_cast<std::ptrdiff_t>((g + 1) * members));
    std::sort(of_group.rbegin(), of_group.rend());
    groups.push_back({sigmoid && members > 1 ? of_group[0] + of_group[1] : of_group[0], g});
  }
  std::sort(groups.rbegin(), groups.rend());
  std::vector<std::pair<double, std::size_t>> candidates;
  for (std::size_t i = 0; i < static_cast<std::size_t>(router.groups_per_token); ++i) {
    for (std::size_t e = groups[i].second * members; e < (groups[i].second + 1) * members; ++e) {
      candidates.push_back({biased[e], e});
    }
  }
  std::sort(candidates.rbegin(), candidates.rend());
  std::set<std::size_t> chosen;
  double sum = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(router.experts_per_token); ++i) {
    chosen.insert(candidates[i].second);
    sum += scores[candidates[i].second];
  }
  Choice choice;
  for (const std::size_t e : chosen) {
    choice.experts.push_back(static_cast<std::int32_t>(e));
    choice.weights.push_back((router.renormalize ? scores[e] / (sum + 1e-20) : scores[e]) *
                             router.scaling_factor);
  }
  return choice;
}

TEST(DeepSeekRouters, ChooseAsTheirFormulasSay) {
  using namespace testing_support;
  for (const ModelConfig& config :
       {tiny_deepseek_v2(), tiny_deepseek_v2_groups(), tiny_deepseek_v3()}) {
    MemoryFileSystem fs;
    write_tiny_model(fs, "m", config, 3);
    const SafetensorsReader weights(fs, "m");
    const routing::Config& router = config.moe->router;
    const WeightNames names(config.family);
    int seen = 0;
    const StepOptions options{.on_route = [&](const RouteRecord& record) {
      const auto bias = router.selection_bias ? weights.read_f32(names.selection_bias(record.layer))
                                              : std::vector<float>{};
      const auto experts = static_cast<std::size_t>(router.experts);
      for (std::size_t n = 0; n < record.decision->items(); ++n, ++seen) {
        const Choice expected =
            chosen_by_formula(router, record.logits.subspan(n * experts, experts), bias);
        std::vector<std::pair<std::int32_t, double>> actual;
        for (auto a = record.decision->offsets[n]; a < record.decision->offsets[n + 1]; ++a) {
          actual.push_back({record.decision->expert[a], record.decision->weight[a]});
        }
        std::sort(actual.begin(), actual.end());
        ASSERT_EQ(actual.size(), expected.experts.size());
        for (std::size_t i = 0; i < actual.size(); ++i) {
          EXPECT_EQ(actual[i].first, expected.experts[i]) << family_name(config.family) << n;
          EXPECT_NEAR(actual[i].second, expected.weights[i], 2e-6);
        }
      }
    }};
    all_logits(fs, some_tokens(40), options);
    EXPECT_GE(seen, 40);
  }
}

}  // namespace
}  // namespace switchyard::runtime
