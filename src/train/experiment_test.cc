#include "train/experiment.h"

#include <gtest/gtest.h>

#include "support/errors.h"
#include "support/memory_file_system.h"

namespace switchyard::train {
namespace {

using testing_support::error_of;
using testing_support::MemoryFileSystem;

constexpr const char* kRecipe = R"(
[model]
family = "mixtral"
width = 32
heads = 4
hidden = 24
[router]
kind = "top_k"
experts = 4
experts_per_token = 2
[data]
train = "a.txt"
[train]
steps = 10
)";

constexpr const char* kExperiment = R"(
title = "T"
recipe = "../../recipes/r.toml"
seeds = [7, 8]
[arm.zeta]
unset = ["router"]
set = ["model.family=llama", "model.hidden=48"]
[arm.alpha]
[claim.c]
text = "t"
metric = "valid_loss"
baseline = "zeta"
method = "alpha"
better = "higher"
[quick]
set = ["train.steps=2"]
)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

Experiment load(const std::string& text) {
  MemoryFileSystem fs;
  fs.put("recipes/r.toml", kRecipe);
  fs.put("papers/x/experiment.toml", text);
  return load_experiment(fs, "papers/x/experiment.toml");
}

TEST(Experiment, ArmsKeepTheFilesOrderAndBecomeRecipes) {
  MemoryFileSystem fs;
  fs.put("recipes/r.toml", kRecipe);
  fs.put("papers/x/experiment.toml", kExperiment);
  const Experiment experiment = load_experiment(fs, "papers/x/experiment.toml");
  EXPECT_EQ(experiment.name, "x");
  ASSERT_EQ(experiment.arms.size(), 2U);
  EXPECT_EQ(experiment.arms[0].name, "zeta");
  EXPECT_FALSE(experiment.claims[0].lower_is_better);
  const Recipe dense = arm_recipe(fs, experiment, experiment.arm("zeta"), 8, {"train.steps=3"});
  EXPECT_EQ(dense.name, "zeta-seed8");
  EXPECT_EQ(dense.train.seed, 8U);
  EXPECT_EQ(dense.train.steps, 3);
  EXPECT_FALSE(dense.router.has_value());
  EXPECT_TRUE(arm_recipe(fs, experiment, experiment.arm("alpha"), 7, {}).router.has_value());
}

TEST(Experiment, MistakesShowBeforeTheFirstRun) {
  EXPECT_EQ(error_of([] { load(replaced(kExperiment, "seeds = [7, 8]", "")); }).what,
            "'seeds' is missing");
  EXPECT_EQ(
      error_of([] { load(replaced(kExperiment, "seeds = [7, 8]", "seeds = [-1]")); }).expected,
      "a list of whole numbers from 0 to 9223372036854775807");
  EXPECT_EQ(error_of([] { load(replaced(kExperiment, "\"alpha\"", "\"alfa\"")); }).fix,
            "did you mean 'alpha'?");
  EXPECT_EQ(
      error_of([] { load(replaced(kExperiment, "method = \"alpha\"", "method = \"zeta\"")); }).what,
      "'method' is missing");
  EXPECT_EQ(error_of([] { load(replaced(kExperiment, "better", "beter")); }).fix,
            "did you mean 'better'?");
  EXPECT_EQ(error_of([] { load(replaced(kExperiment, "train.steps=2", "train.stepz=2")); }).what,
            "unknown key 'stepz'");
}

}  // namespace
}  // namespace switchyard::train
