#include "train/run_length.h"

#include <cmath>
#include <gtest/gtest.h>

#include "switchyard/error.h"

#include "train/testing_recipe.h"

namespace switchyard::train {
namespace {

RunLength length_of(const Recipe& recipe) {
  return RunLength(recipe, model_config(recipe, recipe.data.vocab, std::nullopt));
}

TEST(RunLength, StepsAreSteps) {
  const RunLength length = length_of(tiny_recipe());
  EXPECT_EQ(length.steps(), 12);
  EXPECT_EQ(length.position(5, 1e9), 5);
  EXPECT_FALSE(length.over(11, 1e30));
  EXPECT_TRUE(length.over(12, 0));
}

TEST(RunLength, FlopsEndTheRunWhenTheyAreSpent) {
  const Recipe recipe = tiny_recipe({"train.steps=0", "train.flops=1e9"});
  const RunLength length = length_of(recipe);
  const ModelConfig config = model_config(recipe, recipe.data.vocab, std::nullopt);
  const double step = 3.0 * static_cast<double>(config.flops_per_token(16)) * 4 * 16;
  EXPECT_EQ(length.steps(), static_cast<std::int64_t>(std::ceil(1e9 / step)));
  EXPECT_EQ(length.position(1000000, 0), 0);  // FLOPs count, not steps
  EXPECT_EQ(length.position(1, 0.5e9), length.steps() / 2);
  EXPECT_EQ(length.position(1, 1e9 - 1), length.steps() - 1);
  EXPECT_TRUE(length.over(1, 1e9));
}

TEST(RunLength, AThirdWayToGiveTheLength) {
  const Recipe recipe = tiny_recipe({"train.steps=0", "train.flops=5e12"});
  EXPECT_EQ(parse_recipe(to_toml(recipe), "tiny.toml"), recipe);
  EXPECT_THROW(tiny_recipe({"train.flops=5e12"}), Error);  // and steps
}

}  // namespace
}  // namespace switchyard::train
