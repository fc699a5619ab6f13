#include "models/forward_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "switchyard/error.h"

namespace switchyard::models {
namespace {

using ::testing::HasSubstr;

TEST(ForwardContext, KOverridesNestAndEndWithTheirScope) {
  ForwardContext context;
  EXPECT_EQ(context.experts_per_token(0, 2, 8), 2);
  {
    const auto all = context.override_k(4);
    EXPECT_EQ(context.experts_per_token(1, 2, 8), 4);
    {
      const auto one_layer = context.override_k(1, 8);
      EXPECT_EQ(context.experts_per_token(1, 2, 8), 8);
      EXPECT_EQ(context.experts_per_token(0, 2, 8), 4);
    }
    EXPECT_EQ(context.experts_per_token(1, 2, 8), 4);
  }
  EXPECT_EQ(context.experts_per_token(1, 2, 8), 2);
}

TEST(ForwardContext, AnImpossibleKIsAnError) {
  ForwardContext context;
  const auto scope = context.override_k(9);
  try {
    context.experts_per_token(3, 2, 8);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.parts().what, HasSubstr("9"));
    EXPECT_THAT(error.parts().where, HasSubstr("layer 3"));
    EXPECT_THAT(error.parts().expected, HasSubstr("8"));
  }
}

TEST(ForwardContext, TotalLossIsTheWeightedSum) {
  ForwardContext context;
  EXPECT_FALSE(context.total_loss().defined());
  context.losses.push_back({"balance", 0, torch::tensor(2.0), 0.5});
  context.losses.push_back({"z", 1, torch::tensor(3.0), 0.1});
  EXPECT_NEAR(context.total_loss().item<double>(), 1.3, 1e-6);
  context.clear_reports();
  EXPECT_FALSE(context.total_loss().defined());
}

// B = 2, L = 3, T = 4.
TEST(ForcedRoutes, EveryShapeGivesTheRowsOfALayer) {
  const auto per_layer = ForcedRoutes{.experts = torch::tensor({5, 6, 7})}.layer(1, 3, 2, 4, 8);
  EXPECT_TRUE(per_layer.experts.equal(torch::full({8, 1}, 6, torch::kInt64)));

  const auto table = torch::arange(12).view({3, 4}).remainder(8);
  const auto per_token = ForcedRoutes{.experts = table}.layer(2, 3, 2, 4, 8);
  EXPECT_TRUE(per_token.experts.equal(table[2].repeat({2}).unsqueeze(1)));

  const auto full = torch::arange(24).view({2, 3, 4}).remainder(8);
  const auto per_item = ForcedRoutes{.experts = full}.layer(0, 3, 2, 4, 8);
  EXPECT_TRUE(per_item.experts.equal(torch::cat({full[0][0], full[1][0]}).unsqueeze(1)));
}

TEST(ForcedRoutes, SeveralChoicesWithWeights) {
  const ForcedRoutes routes{.experts = torch::arange(24).view({3, 4, 2}).remainder(8),
                            .several = true,
                            .weights = torch::rand({3, 4, 2})};
  const auto layer = routes.layer(1, 3, 2, 4, 8);
  EXPECT_TRUE(layer.experts.equal(routes.experts[1].repeat({2, 1})));
  EXPECT_TRUE(layer.weights.equal(routes.weights[1].repeat({2, 1})));
}

TEST(ForcedRoutes, WrongShapesAndExpertsAreErrors) {
  const auto expect_error = [](const ForcedRoutes& routes, const char* what, const char* expected) {
    try {
      routes.layer(0, 3, 2, 4, 8);
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_THAT(error.parts().what, HasSubstr(what));
      EXPECT_THAT(error.parts().expected, HasSubstr(expected));
    }
  };
  expect_error({.experts = torch::zeros({4}, torch::kInt64)}, "[4]", "[3], [3, 4] or [2, 3, 4]");
  expect_error({.experts = torch::zeros({3, 4, 2}, torch::kInt64)}, "[3, 4, 2]", "[2, 3, 4]");
  expect_error({.experts = torch::tensor({0, 1, 2}), .weights = torch::ones({2})}, "[2]", "[3]");
  expect_error({.experts = torch::tensor({8, 0, 0})}, "8 does not exist", "7");
  expect_error({.experts = torch::tensor({-2, 0, 0})}, "-2 does not exist", "-1");
}

}  // namespace
}  // namespace switchyard::models
