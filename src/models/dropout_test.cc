#include "models/dropout.h"

#include <gtest/gtest.h>

namespace switchyard::models {
namespace {

ForwardContext training(std::uint64_t step, double share) {
  ForwardContext context;
  context.training = true;
  context.dropout = share;
  context.random = {.seed = 5, .step = step};
  return context;
}

TEST(Dropout, ZeroesTheShareAndKeepsTheMean) {
  const auto x = torch::ones({200, 500});
  const auto y = dropout(x, training(1, 0.2), 0);
  EXPECT_NEAR((y == 0).to(torch::kFloat32).mean().item<float>(), 0.2, 0.01);
  EXPECT_NEAR(y.mean().item<float>(), 1.0, 0.01);
  EXPECT_FLOAT_EQ(y.max().item<float>(), 1.25F);
}

TEST(Dropout, MaskIsAFunctionOfKeyAndPlace) {
  const auto x = torch::ones({50, 50});
  EXPECT_TRUE(torch::equal(dropout(x, training(1, 0.5), 3), dropout(x, training(1, 0.5), 3)));
  EXPECT_FALSE(torch::equal(dropout(x, training(1, 0.5), 3), dropout(x, training(1, 0.5), 4)));
  EXPECT_FALSE(torch::equal(dropout(x, training(1, 0.5), 3), dropout(x, training(2, 0.5), 3)));
}

TEST(Dropout, OffOutsideTraining) {
  const auto x = torch::ones({5, 5});
  ForwardContext context = training(1, 0.5);
  context.training = false;
  EXPECT_TRUE(dropout(x, context, 0).is_same(x));
  EXPECT_TRUE(dropout(x, training(1, 0), 0).is_same(x));
}

}  // namespace
}  // namespace switchyard::models
