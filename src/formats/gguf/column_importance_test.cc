#include "formats/gguf/column_importance.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>

#include "base/random.h"
#include "formats/gguf/importance_collector.h"
#include "formats/gguf/model_parts.h"
#include "formats/gguf/testing_model.h"
#include "support/errors.h"

namespace switchyard {
namespace {

using namespace testing_gguf;
using namespace testing_support;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr float kPrior = ColumnImportance::kPriorTokens;

// One layer, 2 experts of width 3, D = 4.
ModelConfig small_moe() {
  ModelConfig config = tiny_mixtral();
  config.width = 4;
  config.heads = config.kv_heads = 1;
  config.head_dim = 4;
  config.layers = 1;
  config.layer_is_moe = {true};
  config.moe->expert.hidden = 3;
  config.moe->router.experts = 2;
  config.moe->router.experts_per_token = 1;
  return config;
}

constexpr const char* kGate = "model.layers.0.block_sparse_moe.experts.0.w1.weight";
constexpr const char* kGate1 = "model.layers.0.block_sparse_moe.experts.1.w1.weight";
constexpr const char* kDown = "model.layers.0.block_sparse_moe.experts.0.w2.weight";
constexpr const char* kDown1 = "model.layers.0.block_sparse_moe.experts.1.w2.weight";
constexpr const char* kQuery = "model.layers.0.self_attn.q_proj.weight";

ImportanceData with(const std::string& name, ImportanceEntry entry) {
  ImportanceData data{.where = "i.gguf"};
  data.entries[name] = std::move(entry);
  return data;
}

TEST(ColumnImportance, IsTheMeanSquare) {
  const ColumnImportance importance(
      with("blk.0.attn_q.weight", {.squares = {2, 4, 6, 0}, .counts = {2}}), small_moe());
  EXPECT_THAT(importance.of(kQuery), ElementsAre(1, 2, 3, 0));
  EXPECT_THAT(importance.of(kGate), IsEmpty());
  EXPECT_EQ(importance.coverage().matrices, 1U);
  EXPECT_THAT(importance.coverage().missing,
              ElementsAre("blk.0.attn_k.weight", "blk.0.attn_output.weight", "blk.0.attn_v.weight",
                          "blk.0.ffn_down_exps.weight", "blk.0.ffn_gate_exps.weight",
                          "blk.0.ffn_up_exps.weight", "output.weight"));
}

TEST(ColumnImportance, NothingSeenMeansAllColumnsAlike) {
  const ColumnImportance importance(
      with("blk.0.attn_q.weight", {.squares = {0, 0, 0, 0}, .counts = {0}}), small_moe());
  EXPECT_THAT(importance.of(kQuery), IsEmpty());
}

TEST(ColumnImportance, ExpertsAreDrawnTowardsTheirLayersMean) {
  // 30 tokens and 10: the mean over all tokens is (40, 80, 120, 0) / 40.
  const ColumnImportance importance(
      with("blk.0.ffn_gate_exps.weight",
           {.squares = {30, 60, 90, 0, 10, 20, 30, 0}, .counts = {30, 10}}),
      small_moe());
  EXPECT_THAT(importance.of(kGate), ElementsAre(1, 2, 3, 0));

  const ColumnImportance uneven(with("blk.0.ffn_gate_exps.weight",
                                     {.squares = {40, 0, 0, 40, 0, 40, 0, 40}, .counts = {40, 40}}),
                                small_moe());
  const float own = 40 / (40 + kPrior);               // of 1
  const float layer = kPrior * 0.5F / (40 + kPrior);  // of 1/2
  EXPECT_THAT(uneven.of(kGate), ElementsAre(own + layer, layer, 0, 1));
  EXPECT_THAT(uneven.of(kGate1), ElementsAre(layer, own + layer, 0, 1));
}

TEST(ColumnImportance, AnUnvisitedExpertHasTheLayersMean) {
  ImportanceData data =
      with("blk.0.ffn_gate_exps.weight", {.squares = {8, 16, 0, 4, 0, 0, 0, 0}, .counts = {4, 0}});
  data.entries["blk.0.ffn_down_exps.weight"] = {.squares = {4, 8, 24, 0, 0, 0}, .counts = {4, 0}};
  const ColumnImportance importance(data, small_moe());
  EXPECT_THAT(importance.of(kGate1), ElementsAre(2, 4, 0, 1));
  // Hidden value 0 of one expert is not that of another: the mean is over columns, too.
  EXPECT_THAT(importance.of(kDown1), ElementsAre(3, 3, 3));
  const auto mixed = [](float sum) { return (sum + kPrior * 3) / (4 + kPrior); };
  EXPECT_THAT(importance.of(kDown), ElementsAre(mixed(4), mixed(8), mixed(24)));
  EXPECT_EQ(importance.coverage().experts, 2U);
  EXPECT_EQ(importance.coverage().unvisited, 1U);
  EXPECT_EQ(importance.coverage().few, 1U);
}

TEST(ColumnImportance, WithoutAnyTokenInALayerAllColumnsAreAlike) {
  const ColumnImportance importance(
      with("blk.0.ffn_gate_exps.weight", {.squares = std::vector<float>(8), .counts = {0, 0}}),
      small_moe());
  EXPECT_THAT(importance.of(kGate), IsEmpty());
  EXPECT_THAT(importance.of(kGate1), IsEmpty());
}

// The older files: no counts per expert, and ones where an expert was not visited.
TEST(ColumnImportance, FilesThatDoNotTellExpertsApart) {
  ImportanceData data =
      with("blk.0.ffn_gate_exps.weight", {.squares = {10, 20, 30, 40, 5, 5, 5, 5}, .counts = {5}});
  data.entries["blk.0.ffn_down_exps.weight"] = {.squares = {10, 20, 30, 5, 5, 5}, .counts = {5}};
  const ColumnImportance importance(data, small_moe());
  EXPECT_THAT(importance.of(kGate), ElementsAre(2, 4, 6, 8));
  EXPECT_THAT(importance.of(kGate1), ElementsAre(2, 4, 6, 8));
  EXPECT_THAT(importance.of(kDown1), Each(4));
  EXPECT_EQ(importance.coverage().unvisited, 1U);
  EXPECT_EQ(importance.coverage().few, 0U);
}

TEST(ColumnImportance, OtherNamesForExperts) {
  ImportanceData data = with("blk.0.ffn_gate_up_exps.weight",
                             {.squares = {64, 0, 0, 0, 64, 0, 0, 0}, .counts = {64, 64}});
  data.entries["blk.0.ffn_down.1.weight"] = {.squares = {64, 64, 0}, .counts = {64}};
  const ColumnImportance importance(data, small_moe());
  EXPECT_THAT(importance.of(kGate), ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(importance.of("model.layers.0.block_sparse_moe.experts.1.w3.weight"),
              ElementsAre(1, 0, 0, 0));
  EXPECT_GT(importance.of(kDown1).front(), importance.of(kDown1).back());
  EXPECT_THAT(importance.of(kDown), IsEmpty());
}

TEST(ColumnImportance, WhatDoesNotFitIsAnError) {
  const auto refused = [](const std::string& name, const ImportanceEntry& entry) {
    return error_of([&] { ColumnImportance(with(name, entry), small_moe()); });
  };
  const Error::Parts columns =
      refused("blk.0.attn_q.weight", {.squares = std::vector<float>(5), .counts = {1}});
  EXPECT_THAT(columns.where, HasSubstr("i.gguf: entry 'blk.0.attn_q.weight'"));
  EXPECT_THAT(columns.what, HasSubstr("5 values"));
  EXPECT_THAT(columns.expected, HasSubstr("4, as"));
  EXPECT_THAT(refused("blk.0.ffn_gate_exps.weight",
                      {.squares = std::vector<float>(12), .counts = {1, 1, 1}})
                  .expected,
              HasSubstr("8"));
  EXPECT_THAT(refused("blk.0.ffn_gate_exps.weight",
                      {.squares = std::vector<float>(8), .counts = {1, 1, 1, 1}})
                  .expected,
              HasSubstr("2"));
  EXPECT_THAT(refused("blk.7.attn_q.weight", {.squares = {1, 2, 3, 4}, .counts = {1}}).what,
              HasSubstr("no matrix of this model"));
}

TEST(ColumnImportance, LargestNumbersStayFinite) {
  const float largest = std::numeric_limits<float>::max();
  const ColumnImportance importance(
      with("blk.0.ffn_gate_exps.weight",
           {.squares = std::vector<float>(8, largest), .counts = {1, 0}}),
      small_moe());
  for (const char* weight : {kGate, kGate1}) {
    for (const float v : importance.of(weight)) EXPECT_TRUE(std::isfinite(v));
  }
}

// Of every family: what is collected for each matrix comes back for that matrix from the file.
TEST(ImportanceCollector, EveryMatrixOfEveryFamilyHasItsPlace) {
  for (const NamedModel& model : tiny_models()) {
    ImportanceCollector collector;
    std::map<std::string, float> expected;
    float value = 1;
    for (const GgufPart& part : gguf_parts(model.config)) {
      if (part.shape.size() != 2 || part.always_f32) continue;
      const auto columns = static_cast<std::size_t>(part.shape.back());
      const std::vector<float> x(columns * 1000, value);
      collector.add(part.weight, x.data(), 500, columns, 2 * columns);
      expected[part.weight] = value * value;
      value += 0.125F;
    }
    MemoryFileSystem fs;
    write_importance(fs, kFile, collector.data(model.config));
    const ColumnImportance importance(read_importance(fs, kFile), model.config);
    EXPECT_THAT(importance.coverage().missing, IsEmpty()) << model.name;
    EXPECT_EQ(importance.coverage().unvisited, 0U) << model.name;
    for (const auto& [weight, square] : expected) {
      if (importance.of(weight).empty()) continue;  // embeddings that are looked up
      const bool expert = weight.find("experts.") != std::string::npos &&
                          weight.find("shared_experts") == std::string::npos;
      // Experts are drawn towards their layer's mean, of values that differ little.
      for (const float v : importance.of(weight)) {
        EXPECT_NEAR(v, square, (expert ? 0.3 : 1e-4) * square) << model.name << " " << weight;
      }
    }
  }
}

TEST(ImportanceCollector, SumsRowsAndLeavesOutWhatWasNotSeen) {
  ImportanceCollector collector;
  const std::vector<float> x = {1, 2, 3, 4, 99, 2, 2, 2, 2, 99};
  collector.add(kQuery, x.data(), 2, 4, 5);
  collector.add(kQuery, x.data(), 1, 4, 5);
  collector.add(kDown1, x.data(), 1, 3, 3);
  const ImportanceData data = collector.data(small_moe());
  EXPECT_EQ(data.entries.at("blk.0.attn_q.weight"), (ImportanceEntry{{6, 12, 22, 36}, {3}}));
  EXPECT_EQ(data.entries.at("blk.0.ffn_down_exps.weight"),
            (ImportanceEntry{{0, 0, 0, 1, 4, 9}, {0, 1}}));
  EXPECT_EQ(data.entries.count("output.weight"), 0U);
  const float infinite = std::numeric_limits<float>::infinity();
  const std::vector<float> bad(4, infinite);
  collector.add(kQuery, bad.data(), 1, 4, 4);
  EXPECT_THAT(error_of([&] { collector.data(small_moe()); }).where, HasSubstr("q_proj"));
}

// ---- What it is for ---------------------------------------------------------------------------

// A model whose rows are whole blocks of every type.
ModelConfig wide_moe() {
  ModelConfig config = small_moe();
  config.width = config.head_dim = config.moe->expert.hidden = 256;
  config.moe->router.experts = 3;
  return config;
}

// The true mean squares of a layer's inputs: some columns matter a hundred times as much.
std::vector<float> true_importance(std::uint64_t seed) {
  Random random(seed);
  std::vector<float> importance(256);
  for (float& v : importance) v = static_cast<float>(std::exp(1.5 * random.normal()));
  return importance;
}

std::vector<float> sums_of(const std::vector<float>& importance, int tokens, Random& random) {
  std::vector<float> sums(importance.size());
  for (int t = 0; t < tokens; ++t) {
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const double x = random.normal();
      sums[i] += static_cast<float>(importance[i] * x * x);
    }
  }
  return sums;
}

double weighted_error(GgufModel& model, const std::string& weight,
                      const std::vector<float>& importance) {
  const ModelConfig config = read_model_config(model.fs, kFile);
  const auto original = SafetensorsReader(model.fs, "hf").read_f32(weight);
  const auto rounded = weights_from_gguf(GgufReader(model.fs, kFile), config).read_f32(weight);
  double error = 0;
  for (std::size_t i = 0; i < original.size(); ++i) {
    error += importance[i % importance.size()] * std::pow(double{original[i]} - rounded[i], 2);
  }
  return error;
}

// Experts seen 400 times, 4 times and never: the error that matters, weighted by the true mean
// squares, falls for all of them, and 4 tokens alone would not have done it as well.
TEST(ColumnImportance, TheErrorThatMattersFallsForEveryExpert) {
  const ModelConfig config = wide_moe();
  const std::vector<float> truth = true_importance(1);
  Random random(2);
  ImportanceEntry gate{.squares = {}, .counts = {400, 4, 0}};
  for (const float tokens : gate.counts) {
    const auto sums = sums_of(truth, static_cast<int>(tokens), random);
    gate.squares.insert(gate.squares.end(), sums.begin(), sums.end());
  }
  const ColumnImportance importance(with("blk.0.ffn_gate_exps.weight", gate), config);
  for (const DType type : {DType::q8_0, DType::q4_0, DType::q4_k, DType::q5_k, DType::iq4_xs,
                           DType::q3_k, DType::q2_k}) {
    GgufWriteOptions options;
    options.type_of = [&](const std::string&, std::span<const std::int64_t>) { return type; };
    GgufModel plain(config, options);
    options.importance = [&](const std::string& weight) { return importance.of(weight); };
    GgufModel weighted(config, options);
    options.importance = [&](const std::string& weight) {
      return weight == kGate1
                 ? std::vector<float>(gate.squares.begin() + 256, gate.squares.begin() + 512)
                 : std::vector<float>();
    };
    GgufModel raw(config, options);
    for (int e = 0; e < 3; ++e) {
      const std::string weight = WeightNames(config.family).expert(0, e, "gate");
      const double before = weighted_error(plain, weight, truth);
      const double after = weighted_error(weighted, weight, truth);
      EXPECT_LT(after, 0.95 * before) << dtype_name(type) << " expert " << e;
      if (e == 1) {
        EXPECT_LT(after, weighted_error(raw, weight, truth)) << dtype_name(type);
      }
      // Nothing was measured of down: the same bytes.
      const std::string down = WeightNames(config.family).expert(0, e, "down");
      EXPECT_EQ(weighted_error(plain, down, truth), weighted_error(weighted, down, truth));
    }
  }
}

// All columns alike is what no importance means, so an unvisited expert's down is the same bytes.
TEST(ColumnImportance, ConstantImportanceChangesNoByte) {
  const ModelConfig config = wide_moe();
  for (const DType type : {DType::q4_0, DType::q4_k, DType::q6_k, DType::iq4_nl, DType::mxfp4}) {
    GgufWriteOptions options;
    options.type_of = [&](const std::string&, std::span<const std::int64_t>) { return type; };
    GgufModel plain(config, options);
    options.importance = [&](const std::string&) { return std::vector<float>(256, 1.0F); };
    GgufModel constant(config, options);
    EXPECT_EQ(read_file(plain.fs, kFile), read_file(constant.fs, kFile)) << dtype_name(type);
  }
}

}  // namespace
}  // namespace switchyard
