// The operations that equal training FLOPs rest on, against a count by hand for every method.
#include <gtest/gtest.h>

#include <torch/types.h>
#include <torch/utils.h>

#include "models/decoder.h"
#include "train/routing_totals.h"

namespace switchyard::train {
namespace {

constexpr int D = 16, V = 24, T = 10, F = 8, E = 4;
constexpr int kExpert = 3 * D * F;  // gate, up, down
// Of a layer, besides its FFN: q, k, v and o; scores and values of T positions. Of the whole
// model: the output matrix. In multiply-adds.
constexpr int kAttention = 4 * D * D + 2 * T * D;
constexpr int kOutput = V * D;

ModelConfig two_layers() {
  ModelConfig config;
  config.family = Family::switchyard;
  config.vocab = V;
  config.width = D;
  config.layers = 2;
  config.heads = config.kv_heads = 2;
  config.head_dim = D / 2;
  config.layer_is_moe = {true, true};
  config.moe = MoeConfig{.expert = {.hidden = F}, .router = {}};
  config.moe->router.experts = E;
  return config;
}

// Multiply-adds of one token's FFNs and routers, both layers together, as counted from a pass.
double ffn_multiply_adds(const ModelConfig& config, models::ForwardContext& context) {
  const torch::NoGradGuard no_grad;
  validate(config);
  models::Decoder model(config, 1);
  // Even logits: ties go to the lower output, so what is chosen can be said beforehand.
  for (const models::DecoderLayer& layer : model.layers) {
    if (!layer->moe.is_empty() && layer->moe->router->weight.defined())
      layer->moe->router->weight.zero_();
  }
  model.forward(torch::arange(3 * T).remainder(V).view({3, T}), context);
  RoutingTotals totals(RoutingTotals::Detail::training);
  totals.add(context);
  return measured_flops_per_token(config, totals, T) / 2 - 2 * kAttention - kOutput;
}

double ffn_multiply_adds(const ModelConfig& config) {
  models::ForwardContext context;
  return ffn_multiply_adds(config, context);
}

TEST(MeasuredFlops, Dense) {
  ModelConfig config = two_layers();
  config.moe.reset();
  config.layer_is_moe = {false, false};
  config.dense.hidden = 20;
  EXPECT_DOUBLE_EQ(ffn_multiply_adds(config), 2 * 3 * D * 20);
}

TEST(MeasuredFlops, TopKAndEveryKThatAScheduleSets) {
  const ModelConfig config = two_layers();
  EXPECT_DOUBLE_EQ(ffn_multiply_adds(config), 2 * (E * D + 2 * kExpert));
  for (int k = 1; k <= E; ++k) {
    models::ForwardContext context;
    const auto scope = context.override_k(k);
    EXPECT_DOUBLE_EQ(ffn_multiply_adds(config, context), 2 * (E * D + k * kExpert)) << k;
  }
}

TEST(MeasuredFlops, AFrozenRouterCostsAsMuchAsAnother) {
  ModelConfig config = two_layers();
  config.moe->router.frozen = true;
  EXPECT_DOUBLE_EQ(ffn_multiply_adds(config), 2 * (E * D + 2 * kExpert));
}

TEST(MeasuredFlops, TopPTakesAsManyAsTheThresholdAsksFor) {
  ModelConfig config = two_layers();
  config.moe->router = routing::default_config(routing::Kind::top_p);
  config.moe->router.experts = config.moe->router.experts_per_token = E;
  config.moe->router.threshold = 0.75F;  // three quarters
  EXPECT_DOUBLE_EQ(ffn_multiply_adds(config), 2 * (E * D + 3 * kExpert));
}

TEST(MeasuredFlops, ExpertChoiceTakesTwoAnItemOnAverage) {
  ModelConfig config = two_layers();
  config.moe->router = routing::default_config(routing::Kind::expert_choice);
  config.moe->router.experts = E;
  config.moe->router.experts_per_token = 2;
  EXPECT_DOUBLE_EQ(ffn_multiply_adds(config), 2 * (E * D + 2 * kExpert));
}

TEST(MeasuredFlops, NullExpertsCostTheirRowsInTheRouterAndNothingElse) {
  ModelConfig config = two_layers();
  config.moe->router.null_experts = 3;
  config.moe->router.experts_per_token = 6;  // all four experts, two null ones
  EXPECT_DOUBLE_EQ(ffn_multiply_adds(config), 2 * ((E + 3) * D + 4 * kExpert));
}

TEST(MeasuredFlops, ARouterOfTwoLayers) {
  constexpr int p = 6;
  ModelConfig config = two_layers();
  config.moe->router.router_hidden = p;
  EXPECT_DOUBLE_EQ(ffn_multiply_adds(config), 2 * (p * D + E * p + 2 * kExpert));
}

TEST(MeasuredFlops, ARecurrentRouterRunsItsCellInEveryLayer) {
  constexpr int p = 6;
  ModelConfig config = two_layers();
  config.moe->router = routing::default_config(routing::Kind::recurrent);
  config.moe->router.experts = E;
  config.moe->router.experts_per_token = 2;
  config.moe->router.router_hidden = p;
  // Three gates, each with a matrix for the input and one for the state.
  EXPECT_DOUBLE_EQ(ffn_multiply_adds(config),
                   2 * (p * D + 3 * (p * p + p * p) + E * p + 2 * kExpert));
  config.moe->router.cell = routing::Cell::rnn;
  EXPECT_DOUBLE_EQ(ffn_multiply_adds(config), 2 * (p * D + 2 * p * p + E * p + 2 * kExpert));
}

// Big in the first layer for half of the positions and nothing for the others, small in the second.
TEST(MeasuredFlops, BigSmallAndSkipCostTheirOwnWidth) {
  ModelConfig config = two_layers();
  config.moe->expert.hidden = 20;
  config.moe->expert_hidden = {20, 3};
  config.moe->router.experts = 2;
  config.moe->router.experts_per_token = 1;
  config.moe->router.null_experts = 1;
  torch::Tensor routes = torch::ones({2, T}, torch::kInt64);
  routes[0] = torch::arange(T).remainder(2).neg();  // 0, -1, 0, -1, ...
  models::ForwardContext context;
  context.forced = {.experts = routes};
  const double router = 3 * D;
  EXPECT_DOUBLE_EQ(ffn_multiply_adds(config, context),
                   (router + 3 * D * 20 / 2.0) + (router + 3 * D * 3));
}

// While the router learns, every token goes through all experts; afterwards through one.
TEST(MeasuredFlops, SoftTrainingPaysForEveryExpert) {
  ModelConfig config = two_layers();
  config.moe->expert.hidden = 20;
  config.moe->expert_hidden = {20, 3};
  routing::Config& router = config.moe->router;
  router.experts = 2;
  router.experts_per_token = 1;
  router.null_experts = 1;
  router.gate = routing::Gate::none;
  router.soft_training = true;
  router.losses.budget_coefficient = 1;
  router.losses.budget = {0.5F};
  models::ForwardContext training;
  training.training = true;
  EXPECT_DOUBLE_EQ(ffn_multiply_adds(config, training), 2 * (3 * D + 3 * D * (20 + 3)));
  EXPECT_DOUBLE_EQ(ffn_multiply_adds(config), 2 * (3 * D + 3 * D * 20));
}

// Drawn without a router: no logits, and the mean of what was drawn.
TEST(MeasuredFlops, RandomRoutesCostWhatTheyTake) {
  ModelConfig config = two_layers();
  config.moe->expert.hidden = 20;
  config.moe->expert_hidden = {20, 3};
  config.moe->router = routing::default_config(routing::Kind::random);
  config.moe->router.experts = 2;
  config.moe->router.experts_per_token = 1;
  config.moe->router.probabilities = {0.0F, 1.0F};
  EXPECT_DOUBLE_EQ(ffn_multiply_adds(config), 2 * 3 * D * 3);
  config.moe->router.probabilities = {0.0F, 0.0F, 1.0F};
  EXPECT_DOUBLE_EQ(ffn_multiply_adds(config), 0);
}

}  // namespace
}  // namespace switchyard::train
