#include "formats/synthetic/shapes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "formats/family.h"
#include "support/errors.h"

namespace switchyard {
namespace {

using ::testing::HasSubstr;
using testing_support::error_of;

ModelConfig config_of(std::string_view name, const ShapeChanges& changes = {},
                      std::optional<Family> family = {}) {
  return synthetic_config(find_synthetic_shape(name, family), changes);
}

// Weights in all and per token as the models' cards state them, in units of 10^9. Where a card
// leaves out embeddings or rounds, the last digit may differ.
TEST(ShapesTest, PublishedShapesHaveTheirPublishedSizes) {
  const struct {
    std::string_view name;
    double all, active;
  } kCards[] = {
      {"olmoe-1b-7b", 6.9, 1.3},        {"mixtral-8x7b", 46.7, 12.9},
      {"qwen1.5-moe-a2.7b", 14.3, 2.7}, {"qwen3-30b-a3b", 30.5, 3.3},
      {"deepseek-v2-lite", 15.7, 2.7},  {"deepseek-v3", 671, 37.6},
      {"gpt-oss-20b", 20.9, 4.2},       {"gpt-oss-120b", 116.8, 5.7},
      {"llama-3.2-1b", 1.24, 1.24},     {"llama-3.1-8b", 8.03, 8.03},
      {"mistral-7b", 7.25, 7.25},       {"qwen2.5-0.5b", 0.494, 0.494},
      {"qwen3-8b", 8.19, 8.19},
  };
  std::set<std::string_view> named;
  for (const auto& card : kCards) {
    const ModelConfig config = config_of(card.name);
    EXPECT_NEAR(static_cast<double>(config.parameters()) * 1e-9, card.all, 0.006 * card.all)
        << card.name;
    EXPECT_NEAR(static_cast<double>(config.active_parameters()) * 1e-9, card.active,
                0.02 * card.active)
        << card.name;
    named.insert(card.name);
  }
  for (const SyntheticShape& shape : synthetic_shapes()) {
    EXPECT_TRUE(shape.name == kTinyShape || named.contains(shape.name)) << shape.name;
  }
}

TEST(ShapesTest, EveryFamilyIsThereTinyAndWithRowsOfWholeBlocks) {
  for (const FamilyTraits* family : families()) {
    const ModelConfig config = config_of(kTinyShape, {}, family->family);
    EXPECT_EQ(config.family, family->family);
    EXPECT_LT(config.parameters(), 30'000'000U) << family->model_type;
    EXPECT_EQ(config.width % 256, 0) << family->model_type;
    EXPECT_EQ(config.moe ? config.moe->expert.hidden % 256 : config.dense.hidden % 256, 0)
        << family->model_type;
    EXPECT_EQ(config.moe.has_value(), family->kind != FamilyKind::dense) << family->model_type;
  }
  EXPECT_EQ(config_of(kTinyShape).family, Family::olmoe);
}

TEST(ShapesTest, EveryDimensionCanBeChanged) {
  const ModelConfig c = config_of("olmoe-1b-7b", {.layers = 3,
                                                  .width = 512,
                                                  .heads = 8,
                                                  .hidden = 96,
                                                  .experts = 24,
                                                  .experts_per_token = 5,
                                                  .vocab = 999,
                                                  .context = 77});
  EXPECT_EQ(c.layers, 3);
  EXPECT_EQ(c.layer_is_moe.size(), 3U);
  EXPECT_EQ(c.width, 512);
  EXPECT_EQ(c.heads, 8);
  EXPECT_EQ(c.kv_heads, 8);
  EXPECT_EQ(c.head_dim, 64);
  EXPECT_EQ(c.moe->expert.hidden, 96);
  EXPECT_EQ(c.moe->router.experts, 24);
  EXPECT_EQ(c.moe->router.experts_per_token, 5);
  EXPECT_EQ(c.vocab, 999);
  EXPECT_EQ(c.context, 77);
  EXPECT_EQ(config_of(kTinyShape, {.head_dim = 32}, Family::qwen3).head_dim, 32);
  EXPECT_EQ(config_of(kTinyShape, {.kv_heads = 1}, Family::llama).kv_heads, 1);
  EXPECT_EQ(config_of(kTinyShape, {.hidden = 300}, Family::llama).dense.hidden, 300);
  // The same flags, whatever the family calls it.
  for (const Family family : {Family::mixtral, Family::qwen2_moe, Family::qwen3_moe,
                              Family::deepseek_v2, Family::gpt_oss, Family::switchyard}) {
    const ModelConfig other = config_of(
        kTinyShape, {.layers = 2, .hidden = 64, .experts = 12, .experts_per_token = 3}, family);
    EXPECT_EQ(other.moe->expert.hidden, 64) << family_name(family);
    EXPECT_EQ(other.moe->router.experts, 12) << family_name(family);
    EXPECT_EQ(other.moe->router.experts_per_token, 3) << family_name(family);
    EXPECT_TRUE(other.layer_is_moe.back()) << family_name(family);
  }
  for (const Family family : {Family::qwen2_moe, Family::deepseek_v3, Family::switchyard}) {
    const ModelConfig other = config_of(kTinyShape, {.hidden = 64, .shared_experts = 3}, family);
    EXPECT_EQ(other.moe->shared_hidden, 192) << family_name(family);
  }
}

TEST(ShapesTest, WhatCannotBeIsAnErrorThatSaysSo) {
  EXPECT_THAT(error_of([] { config_of("olmo-1b"); }).what, HasSubstr("no shape 'olmo-1b'"));
  EXPECT_THAT(error_of([] { config_of("olmo-1b"); }).expected, HasSubstr("olmoe-1b-7b"));
  EXPECT_THAT(error_of([] { config_of("mixtral-8x7b", {}, Family::olmoe); }).what,
              HasSubstr("is of family mixtral"));
  EXPECT_THAT(error_of([] { config_of("llama-3.2-1b", {.experts = 8}); }).what,
              HasSubstr("llama has no experts"));
  EXPECT_THAT(error_of([] { config_of("olmoe-1b-7b", {.shared_experts = 1}); }).what,
              HasSubstr("olmoe has no shared experts"));
  EXPECT_THAT(error_of([] { config_of("deepseek-v2-lite", {.head_dim = 64}); }).what,
              HasSubstr("attention is latent"));
  EXPECT_THAT(error_of([] { config_of("olmoe-1b-7b", {.experts = 4}); }).where,
              HasSubstr("shape olmoe-1b-7b"));
}

}  // namespace
}  // namespace switchyard
