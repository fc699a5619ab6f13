#include "train/experiment.h"

#include <gmock/gmock.h>
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

TEST(Experiment, TheHeadlineIsAClaim) {
  EXPECT_EQ(load(kExperiment).headline, "c");
  EXPECT_EQ(error_of([] { load(std::string("headline = \"d\"\n") + kExperiment); }).expected,
            "the name of a claim");
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

TEST(Experiment, ArmsThatStartFromOthersComeAfterThem) {
  std::string text = replaced(kExperiment, "[arm.zeta]", "[arm.zeta]\nfrom = \"beta\"");
  text = replaced(text, "[arm.alpha]", "[arm.alpha]\n[arm.beta]\nfrom = \"alpha\"");
  const Experiment experiment = load(text);
  std::vector<std::string> names;
  for (const Arm& arm : experiment.arms) names.push_back(arm.name);
  EXPECT_EQ(names, (std::vector<std::string>{"alpha", "beta", "zeta"}));

  const std::string circle = replaced(text, "[arm.alpha]", "[arm.alpha]\nfrom = \"zeta\"");
  EXPECT_THAT(error_of([&] { load(circle); }).what, testing::HasSubstr("from itself"));
  const std::string unknown = replaced(text, "from = \"alpha\"", "from = \"alhpa\"");
  EXPECT_EQ(error_of([&] { load(unknown); }).fix, "did you mean 'alpha'?");
}

TEST(Experiment, SweepsOfAllAreForArmsWithARouter) {
  const std::string sweep = "seeds = [7]\nsweep_experts_per_token = [1, 4]";
  const Experiment experiment = load(replaced(kExperiment, "seeds = [7, 8]", sweep));
  EXPECT_TRUE(experiment.arm("zeta").sweep_experts_per_token.empty());
  EXPECT_EQ(experiment.arm("alpha").sweep_experts_per_token, (std::vector<std::int64_t>{1, 4}));
  EXPECT_EQ(
      error_of([&] {
        load(replaced(kExperiment, "[arm.alpha]", "[arm.alpha]\nsweep_experts_per_token = [5]"));
      }).expected,
      "numbers from 1 to 4");
  EXPECT_EQ(
      error_of([&] {
        load(replaced(kExperiment, "[arm.zeta]", "[arm.zeta]\nsweep_experts_per_token = [1]"));
      }).expected,
      "no sweep for an arm without a router");
}

TEST(Experiment, PresetsAndQuickChangeAllArmsOrOne) {
  const Experiment experiment = load(std::string(kExperiment) + R"(
[quick.arm]
alpha = ["train.steps=3"]
[preset.gpu]
set = ["model.width=64"]
[preset.gpu.arm]
zeta = ["model.hidden=96"]
[measure]
runtime_budget = 0.25
)");
  EXPECT_EQ(experiment.quick.of("alpha"),
            (std::vector<std::string>{"train.steps=2", "train.steps=3"}));
  EXPECT_EQ(experiment.quick.of("zeta"), std::vector<std::string>{"train.steps=2"});
  EXPECT_EQ(experiment.preset("gpu").of("zeta"),
            (std::vector<std::string>{"model.width=64", "model.hidden=96"}));
  EXPECT_EQ(experiment.measure.runtime_budget, 0.25);
  EXPECT_EQ(error_of([&] { experiment.preset("tpu"); }).expected, "one of gpu");
  EXPECT_EQ(error_of([&] {
              load(std::string(kExperiment) + "[preset.x]\nset = [\"model.widht=1\"]\n");
            }).what,
            "unknown key 'widht'");
}

TEST(Experiment, ClaimsAboutValues) {
  const std::string value = R"([claim.c]
text = "t"
kind = "value"
metric = "experts_per_token"
method = "alpha"
high = 2.0
)";
  std::string text = kExperiment;
  const std::size_t begin = text.find("[claim.c]");
  text.replace(begin, text.find("[quick]") - begin, value);
  const Claim claim = load(text).claims.front();
  EXPECT_EQ(claim.kind, Claim::Kind::value);
  EXPECT_EQ(claim.high, 2.0);
  EXPECT_LT(claim.low, -1e29);
  EXPECT_EQ(error_of([&] { load(replaced(text, "high = 2.0", "")); }).what, "'low' is missing");
  EXPECT_EQ(
      error_of([&] { load(replaced(text, "high = 2.0", "high = 2.0\nbetter = \"lower\"")); }).what,
      "unknown key 'better'");
  const Claim margin =
      load(replaced(kExperiment, "better = \"higher\"", "better = \"higher\"\nnot_worse_by = 0.1"))
          .claims.front();
  EXPECT_EQ(margin.not_worse_by, 0.1);
}

}  // namespace
}  // namespace switchyard::train
