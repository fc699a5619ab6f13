#include "train/training_step.h"

#include <cmath>
#include <gtest/gtest.h>

#include <torch/types.h>
#include <torch/utils.h>

#include "support/errors.h"
#include "train/testing_recipe.h"

namespace switchyard::train {
namespace {

using testing_support::error_of;

TrainableModel make(const Recipe& recipe) {
  return TrainableModel(model_config(recipe, 280, std::nullopt), recipe.train, recipe.model.dropout,
                        torch::kCPU);
}

torch::Tensor ids(std::int64_t rows) {
  torch::manual_seed(1);
  return torch::randint(0, 280, {rows, 17}, torch::kInt64);
}

double weight_difference(const TrainableModel& a, const TrainableModel& b) {
  double largest = 0;
  const auto left = a.weights();
  const auto right = b.weights();
  for (std::size_t i = 0; i < left.size(); ++i) {
    largest = std::max(largest, (left[i].value - right[i].value).abs().max().item<double>());
  }
  return largest;
}

// The router's losses look at the load of a whole pass, so they are off here; cross entropy is a
// mean over tokens.
TEST(TrainingStep, AccumulationEqualsTheBigBatch) {
  const Recipe recipe = tiny_recipe({"router.losses={}", "train.optimizer=sgd", "train.clip=0"});
  TrainableModel whole = make(recipe);
  TrainableModel parts = make(recipe);
  const torch::Tensor batch = ids(8);
  for (int step = 0; step < 3; ++step) {
    const StepOutcome a = whole.step({batch}, {.step = step, .lr = 0.1});
    const StepOutcome b =
        parts.step({batch.narrow(0, 0, 4), batch.narrow(0, 4, 4)}, {.step = step, .lr = 0.1});
    EXPECT_NEAR(a.loss, b.loss, 1e-5);
    EXPECT_NEAR(a.gradient_norm, b.gradient_norm, 1e-5);
  }
  EXPECT_LT(weight_difference(whole, parts), 1e-5);
}

TEST(TrainingStep, FirstLossIsThatOfUniformGuessing) {
  TrainableModel model = make(tiny_recipe());
  EXPECT_NEAR(model.step({ids(4)}, {.step = 0, .lr = 0.0}).loss, std::log(280.0), 0.05);
}

TEST(TrainingStep, ClippingLimitsTheStepOfSgd) {
  const Recipe recipe =
      tiny_recipe({"train.optimizer=sgd", "train.clip=0.01", "train.weight_decay=0"});
  TrainableModel model = make(recipe);
  TrainableModel before = make(recipe);
  EXPECT_GT(model.step({ids(4)}, {.step = 0, .lr = 1.0}).gradient_norm, 0.01);
  double moved = 0;
  const auto now = model.weights();
  const auto then = before.weights();
  for (std::size_t i = 0; i < now.size(); ++i) {
    moved += (now[i].value - then[i].value).to(torch::kFloat64).pow(2).sum().item<double>();
  }
  EXPECT_NEAR(std::sqrt(moved), 0.01, 1e-4);
}

TEST(TrainingStep, NonFiniteLossStopsWithTheStep) {
  TrainableModel model = make(parse_recipe(kTinyMoe, "t", {"model.family=llama"}, {"router"}));
  {
    torch::NoGradGuard no_grad;
    model.master().final_norm->weight.fill_(std::nanf(""));
  }
  const auto parts = error_of([&] { model.step({ids(4)}, {.step = 41, .lr = 0.1}); });
  EXPECT_EQ(parts.what, "the loss is not finite (nan) in step 42");
  EXPECT_NE(parts.fix.find("lower train.lr"), std::string::npos);
}

TEST(TrainingStep, SelectionBiasMovesAgainstTheLoad) {
  TrainableModel model = make(tiny_recipe(
      {"model.family=switchyard", "router.selection_bias=true", "train.bias_update=0.25"}));
  model.step({ids(4)}, {.step = 0, .lr = 0.0});
  models::MoeLayer moe = model.master().layers[0]->moe;
  const torch::Tensor load = model.routers().layers().at(0).load.to(torch::kFloat32);
  const torch::Tensor expected = torch::sign(load.mean() - load) * 0.25;
  EXPECT_TRUE(torch::allclose(moe->router->selection_bias, expected));
}

TEST(TrainingStep, Bf16FollowsFp32) {
  TrainableModel exact = make(tiny_recipe());
  TrainableModel rough = make(tiny_recipe({"train.bf16=true"}));
  double difference = 0;
  for (int step = 0; step < 5; ++step) {
    difference = std::abs(exact.step({ids(4)}, {.step = step, .lr = 0.01}).loss -
                          rough.step({ids(4)}, {.step = step, .lr = 0.01}).loss);
  }
  EXPECT_LT(difference, 0.05);  // losses near 5; bf16 has three digits
  for (const NamedTensor& tensor : rough.weights())
    EXPECT_NE(tensor.value.scalar_type(), torch::kBFloat16);
}

// What SMoE-Dropout rests on: routers that are saved but never trained.
TEST(TrainingStep, FrozenRoutersKeepTheirBitsAndAreSaved) {
  for (const char* optimizer : {"adamw", "adam", "sgd"}) {
    TrainableModel model = make(tiny_recipe({"router.frozen=true", "model.family=switchyard",
                                             std::string("train.optimizer=") + optimizer}));
    std::vector<torch::Tensor> before;
    for (const auto& layer : model.master().layers) {
      before.push_back(layer->moe->router->weight.clone());
    }
    const auto experts = model.master().layers[0]->moe->experts->out.clone();
    for (int step = 0; step < 5; ++step) model.step({ids(4)}, {.step = step, .lr = 0.1});
    EXPECT_FALSE(model.master().layers[0]->moe->experts->out.equal(experts));
    for (std::size_t l = 0; l < before.size(); ++l) {
      const auto& weight = model.master().layers[l]->moe->router->weight;
      EXPECT_TRUE(weight.equal(before[l])) << optimizer;
      EXPECT_FALSE(weight.grad().defined());
    }
    int saved = 0;
    for (const auto& tensor : model.weights()) saved += tensor.value.equal(before[0]) ? 1 : 0;
    EXPECT_EQ(saved, 1) << "once as a weight, and no moments";
  }
}

TEST(TrainingStep, ScheduledValuesHoldInAllLayersForTheStepTheyAreGivenTo) {
  const Recipe recipe = tiny_recipe({"router.losses={ balance_coefficient = 0.01 }"});
  TrainableModel model = make(recipe);
  for (const int k : {4, 1, 3}) {
    ScheduledValues values;
    values.experts_per_token = k;
    model.step({ids(4)}, {.step = 0, .lr = 0.0, .router = values});
    EXPECT_EQ(model.routers().summary().experts_per_token_by_layer,
              (std::vector<double>{1.0 * k, 1.0 * k}));
  }
  model.step({ids(4)}, {.step = 0, .lr = 0.0});
  EXPECT_EQ(model.routers().summary().experts_per_token, 2.0);

  const double own = model.step({ids(4)}, {.step = 0, .lr = 0.0}).router_loss;
  EXPECT_GT(own, 0.0);
  for (const double factor : {10.0, 0.005}) {
    ScheduledValues values;
    values.balance_coefficient = 0.01 * factor;
    const double loss = model.step({ids(4)}, {.step = 0, .lr = 0.0, .router = values}).router_loss;
    EXPECT_NEAR(loss, own * factor, 1e-6 * own * factor + 1e-9);
  }
}

TEST(TrainingStep, OnlyRouterLeavesEverythingElseAsItWas) {
  for (const char* bf16 : {"train.bf16=false", "train.bf16=true"}) {
    TrainableModel model = make(tiny_recipe({"train.only_router=true", bf16}));
    std::vector<torch::Tensor> before;
    for (const NamedTensor& weight : model.weights()) before.push_back(weight.value.clone());
    for (int step = 0; step < 3; ++step) model.step({ids(4)}, {.step = step, .lr = 0.1});
    const auto after = model.weights();
    for (std::size_t i = 0; i < after.size(); ++i) {
      EXPECT_NE(after[i].value.equal(before[i]), models::is_router_weight(after[i].name))
          << after[i].name;
    }
    ASSERT_EQ(model.optimizer().parameters().size(), 2U);  // no moments for the rest
  }
  const auto parts = error_of([] {
    make(tiny_recipe({"train.only_router=true", "router.frozen=true"}));
  });
  EXPECT_EQ(parts.where, "[train] only_router");
}

TEST(TrainingStep, TheInverseTemperatureInForceSharpensTheMixture) {
  const Recipe recipe = tiny_recipe({"model.family=switchyard", "router.soft_training=true"});
  const auto entropy_at = [&](std::optional<double> factor) {
    TrainableModel model = make(recipe);
    torch::NoGradGuard no_grad;
    torch::manual_seed(1);
    for (auto& layer : model.master().layers) layer->moe->router->weight.normal_();
    torch::AutoGradMode grad(true);
    StepPlan plan = {.step = 0, .lr = 0.0};
    plan.router.inverse_temperature = factor;
    model.step({ids(4)}, plan);
    return *model.routers().summary().router_entropy_share;
  };
  EXPECT_EQ(entropy_at({}), entropy_at(1.0));
  EXPECT_GT(entropy_at(0.1), entropy_at(1.0));
  EXPECT_GT(entropy_at(1.0), entropy_at(10.0));
}

TEST(TrainingStep, RoutersAreWatched) {
  TrainableModel model = make(tiny_recipe());
  model.step({ids(4)}, {.step = 0, .lr = 0.01});
  EXPECT_TRUE(model.router_warnings().empty());
  const RoutingSummary stats = model.routers().summary();
  EXPECT_GE(stats.load_max, 1.0);
  EXPECT_LE(stats.load_max, 4.0);
  EXPECT_GT(*stats.router_entropy_share, 0.9);  // undecided at the start
  EXPECT_EQ(model.routers().layers().at(1).assignments(), 4 * 16 * 2);

  TrainableModel frozen = make(tiny_recipe({"router.frozen=true"}));
  frozen.step({ids(4)}, {.step = 0, .lr = 0.01});
  ASSERT_EQ(frozen.router_warnings().size(), 2U);
  EXPECT_TRUE(frozen.router_warnings()[0].starts_with("layer 0: ")) << frozen.router_warnings()[0];
}

}  // namespace
}  // namespace switchyard::train
