#include "train/recipe.h"

#include <gtest/gtest.h>

#include "support/errors.h"

namespace switchyard::train {
namespace {

using testing_support::error_of;

constexpr const char* kMoe = R"(
[model]
family = "mixtral"
width = 32
layers = 2
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

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Recipe, ReadsAndFillsIn) {
  const Recipe recipe = parse_recipe(kMoe, "dir/tiny.v2.toml");
  EXPECT_EQ(recipe.name, "tiny.v2");
  EXPECT_EQ(recipe.output.directory, "runs/tiny.v2");
  EXPECT_EQ(recipe.model.head_dim, 8);
  EXPECT_EQ(recipe.model.kv_heads, 4);
  EXPECT_EQ(recipe.model.context, recipe.data.sequence);
  EXPECT_EQ(recipe.router->experts, 4);
  EXPECT_EQ(recipe.data.train, std::vector<std::string>{"a.txt"});
  const ModelConfig config = model_config(recipe, 500, 3);
  EXPECT_EQ(config.vocab, 500);
  EXPECT_EQ(config.moe->expert.hidden, 24);
  EXPECT_EQ(config.eos, std::vector<std::int32_t>{3});
}

TEST(Recipe, ResolvedRecipeReadsBackTheSame) {
  const std::vector<std::string> overrides = {"train.lr=0.00123",
                                              "train.steps=0",
                                              "train.tokens=12345",
                                              "data.separator=\"<|end\\\"of\\ntext|>\"",
                                              "data.test=[\"x\",\"y\"]",
                                              "train.optimizer=sgd",
                                              "model.activation=relu",
                                              "router.losses={balance_coefficient=0.01}",
                                              "output.best=false",
                                              "train.weight_decay=1e-7",
                                              "train.seed=99"};
  const Recipe recipe = parse_recipe(kMoe, "tiny.toml", overrides);
  const std::string text = to_toml(recipe);
  EXPECT_EQ(parse_recipe(text, "other.toml"), recipe) << text;
  EXPECT_EQ(to_toml(parse_recipe(text, "other.toml")), text);
  EXPECT_FLOAT_EQ(recipe.router->losses.balance_coefficient, 0.01F);
}

TEST(Recipe, BytesFixTheVocabulary) {
  const Recipe recipe = parse_recipe(kMoe, "t.toml", {"data.tokenizer=bytes"});
  EXPECT_EQ(recipe.data.vocab, kByteVocab);
  EXPECT_EQ(parse_recipe(to_toml(recipe), "t.toml"), recipe);
  const auto error = error_of([] {
    parse_recipe(kMoe, "t.toml", {"data.tokenizer=bytes", "data.vocab=300"});
  });
  EXPECT_EQ(error.expected, "a whole number from 257 to 257");
}

TEST(Recipe, DenseTwinByOverrides) {
  const Recipe recipe =
      parse_recipe(kMoe, "t.toml", {"model.family=llama", "model.hidden=48"}, {"router"});
  EXPECT_FALSE(recipe.router.has_value());
  const ModelConfig dense = model_config(recipe, 300, std::nullopt);
  EXPECT_FALSE(dense.moe.has_value());
  EXPECT_EQ(dense.dense.hidden, 48);
}

TEST(Recipe, TheModelRemembersTheFewestExpertsOfASchedule) {
  const std::string schedule = "schedule.experts_per_token={ kind = 'linear', from = 1, to = 4 }";
  const Recipe fixed = parse_recipe(kMoe, "t.toml", {"router.experts_per_token=4"});
  const Recipe grows = parse_recipe(kMoe, "t.toml", {"router.experts_per_token=4", schedule});
  EXPECT_EQ(model_config(fixed, 300, std::nullopt).moe->fewest_experts_in_training, 0);
  EXPECT_EQ(model_config(grows, 300, std::nullopt).moe->fewest_experts_in_training, 1);
}

TEST(Recipe, TokensBecomeWholeSteps) {
  const Recipe recipe =
      parse_recipe(replaced(kMoe, "steps = 10", "tokens = 1000\nbatch = 2\naccumulation = 2"),
                   "t.toml", {"data.sequence=64"});
  EXPECT_EQ(recipe.tokens_per_step(), 256);
  EXPECT_EQ(recipe.total_steps(), 4);
}

TEST(Recipe, UnknownSectionKeyAndKnob) {
  const auto section = error_of([] { parse_recipe(replaced(kMoe, "[data]", "[dada]"), "r.toml"); });
  EXPECT_EQ(section.what, "unknown key 'dada'");
  EXPECT_EQ(section.fix, "did you mean 'data'?");
  const auto key =
      error_of([] { parse_recipe(replaced(kMoe, "width = 32", "widht = 32"), "r.toml"); });
  EXPECT_EQ(key.where, "r.toml:4: [model] widht");
  EXPECT_EQ(key.fix, "did you mean 'width'?");
  const auto knob = error_of([] { parse_recipe(kMoe, "r.toml", {"router.expert=3"}); });
  EXPECT_NE(knob.what.find("expert"), std::string::npos);
  EXPECT_NE((knob.where + knob.what).find("[router]"), std::string::npos);
}

TEST(Recipe, QueryKeyNormsAreTheFamilysUnlessSaidOtherwiseInOurs) {
  const auto norm_of = [](const std::vector<std::string>& overrides) {
    return model_config(parse_recipe(kMoe, "r.toml", overrides), 500, 3).qk_norm;
  };
  EXPECT_EQ(norm_of({"model.family=olmoe"}), QkNorm::full);
  EXPECT_EQ(norm_of({"model.family=mixtral"}), QkNorm::none);
  EXPECT_EQ(norm_of({"model.family=switchyard"}), QkNorm::none);
  const std::vector<std::string> own = {"model.family=switchyard", "model.qk_norm=full"};
  EXPECT_EQ(norm_of(own), QkNorm::full);
  const Recipe recipe = parse_recipe(kMoe, "r.toml", own);
  EXPECT_EQ(parse_recipe(to_toml(recipe), "r.toml"), recipe);
  const auto parts = error_of([] {
    parse_recipe(kMoe, "r.toml", {"model.family=mixtral", "model.qk_norm=per_head"});
  });
  EXPECT_EQ(parts.what, "family mixtral has other query-key norms");
  EXPECT_EQ(parts.expected, "none");
}

TEST(Recipe, ContradictionsAreNamed) {
  const auto what = [](const std::vector<std::string>& overrides,
                       const std::vector<std::string>& removed = {}) {
    return error_of([&] { parse_recipe(kMoe, "r.toml", overrides, removed); }).what;
  };
  EXPECT_EQ(what({"train.tokens=5"}), "the length of the training is given twice");
  EXPECT_EQ(what({"train.steps=0"}), "the length of the training is missing");
  EXPECT_EQ(what({"model.family=llama"}),
            "family llama has no experts, but there is a [router] section");
  EXPECT_EQ(what({}, {"router"}), "an MoE family needs a [router] section");
  EXPECT_EQ(what({"model.heads=5"}), "width 32 is not a multiple of heads 5");
  EXPECT_EQ(what({"model.kv_heads=3"}), "heads 4 is not a multiple of kv_heads 3");
  EXPECT_EQ(what({"train.patience=2", "train.eval_every=0"}),
            "patience needs evaluations during training");
  EXPECT_EQ(what({}, {"data.train"}), "no training text is named");
  EXPECT_EQ(what({"name=a/b"}), "'a/b' cannot be the name of a run");
}

}  // namespace
}  // namespace switchyard::train
