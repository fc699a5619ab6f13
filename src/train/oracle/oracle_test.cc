// The properties of oracle routes, section by section of the method's description.
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <torch/types.h>
#include <torch/utils.h>

#include "switchyard/runtime.h"

#include "models/checkpoint_io.h"
#include "support/memory_file_system.h"
#include "train/oracle/hindsight.h"
#include "train/oracle/route_losses.h"
#include "train/oracle/router_eval.h"
#include "train/oracle/sequential.h"
#include "train/oracle/testing_duo.h"

namespace switchyard::train::oracle {
namespace {

constexpr int kLayers = 4;
constexpr std::int32_t kTwo[] = {kBig, kSmall};
constexpr std::int32_t kThree[] = {kBig, kSmall, routing::kNoExpert};

// Loss of one route for the whole sequence, by an ordinary forward pass.
torch::Tensor brute_force(models::Decoder& model, const torch::Tensor& windows,
                          const Route& route) {
  const torch::NoGradGuard no_grad;
  const auto length = windows.size(1) - 1;
  models::ForwardContext context;
  context.forced = forced(route);
  const auto logits = model.forward(windows.narrow(1, 0, length).contiguous(), context);
  return token_losses(logits, windows.narrow(1, 1, length));
}

class Oracle : public ::testing::Test {
 protected:
  ModelConfig config_ = duo_config(kLayers);
  std::shared_ptr<models::Decoder> model_ = duo_model(config_);
  torch::Tensor windows_ = some_windows(config_, 5, kWindow);
  std::vector<Route> routes_ = enumerate_routes(kLayers, std::nullopt, kTwo);
  RouteLosses losses_ = measure_routes(*model_, windows_, routes_, 2, 9);

  RouteSet all() const {
    RouteSet set(routes_.size());
    for (std::size_t r = 0; r < set.size(); ++r) set[r] = static_cast<std::int64_t>(r);
    return set;
  }
  static double mean(const torch::Tensor& x) { return x.to(torch::kFloat64).mean().item<double>(); }
};

TEST_F(Oracle, SharedLayersGiveWhatEveryRouteAloneGives) {
  for (std::size_t r = 0; r < routes_.size(); ++r) {
    EXPECT_TRUE(torch::allclose(losses_.nll[static_cast<std::int64_t>(r)],
                                brute_force(*model_, windows_, routes_[r]), 1e-5, 1e-6))
        << to_text(routes_[r]);
  }
  // With skips, and in an order without shared layers.
  const std::vector<Route> odd = {{0, -1, 1, 0}, {1, 1, -1, -1}, {0, -1, 1, 1}, {-1, -1, -1, -1}};
  const auto measured = measure_routes(*model_, windows_, odd, 8, 1);
  for (std::size_t r = 0; r < odd.size(); ++r) {
    EXPECT_TRUE(torch::allclose(measured.nll[static_cast<std::int64_t>(r)],
                                brute_force(*model_, windows_, odd[r]), 1e-5, 1e-6));
  }
}

TEST_F(Oracle, OracleFixedAndMeanAreOrdered) {
  double best_of_budgets = 1e9;
  for (int b = 0; b <= kLayers; ++b) {
    const auto set = with_budget(routes_, b);
    const double lowest = mean(oracle(losses_.nll, set).nll);
    const auto fixed = best_fixed(losses_.nll, set);
    EXPECT_LE(lowest, fixed.nll + 1e-7);
    EXPECT_LE(fixed.nll, mean(losses_.nll.index_select(0, torch::tensor(set))) + 1e-7);
    EXPECT_EQ(budget_of(routes_[static_cast<std::size_t>(fixed.route)]), b);
    best_of_budgets = std::min(best_of_budgets, lowest);
    // More routes never hurt, and a random one is no better than the best.
    double last = 1e9;
    for (std::size_t k = 1; k <= set.size(); ++k) {
      const auto sampled = sampled_oracle(losses_.nll, set, k, 4);
      EXPECT_EQ(sampled.routes.size(), k);
      EXPECT_LE(sampled.nll, last + 1e-7);
      last = sampled.nll;
    }
    EXPECT_NEAR(last, lowest, 1e-7);
    EXPECT_GE(random_per_set(losses_.nll, set, 3, 5), fixed.nll - 1e-7);
    EXPECT_GE(random_per_token(losses_.nll, set, 3, 5), lowest - 1e-7);
    EXPECT_LE(random_per_token(losses_.nll, set, 50, 5), random_per_set(losses_.nll, set, 50, 5));
  }
  EXPECT_LE(mean(oracle(losses_.nll, all()).nll), best_of_budgets + 1e-7);
}

TEST_F(Oracle, BudgetsMayChangeAlongTheSequence) {
  EXPECT_THAT(ramp(3, 1, 4), ::testing::ElementsAre(3, 2, 2, 1));
  EXPECT_THAT(ramp(1, 3, 4), ::testing::ElementsAre(1, 2, 2, 3));
  EXPECT_NEAR(budgeted_oracle(losses_, ramp(2, 2, 12)),
              mean(oracle(losses_.nll, with_budget(routes_, 2)).nll), 1e-6);
  const auto budgets = ramp(3, 1, 12);
  double sum = 0;
  for (std::int64_t n = 0; n < 60; ++n) {
    const auto set = with_budget(routes_, budgets[static_cast<std::size_t>(n % 12)]);
    sum += oracle(losses_.nll, set).nll[n].item<double>();
  }
  EXPECT_NEAR(budgeted_oracle(losses_, budgets), sum / 60, 1e-6);
}

TEST_F(Oracle, TheMinimumOverOneRouteIsThatRoute) {
  const auto set = with_budget(routes_, kLayers);
  ASSERT_EQ(set.size(), 1U);
  EXPECT_TRUE(oracle(losses_.nll, set).nll.equal(losses_.nll[set[0]]));
  EXPECT_NEAR(mean(losses_.log_z.at(kLayers)), 0.0, 1e-5);
  EXPECT_NEAR(code_length(losses_, kLayers), best_fixed(losses_.nll, set).nll, 1e-5);
  EXPECT_NEAR(sampled_label_oracle(losses_, set), best_fixed(losses_.nll, set).nll, 1e-6);
}

TEST_F(Oracle, IdenticalSiblingsMakeAllLossesEqual) {
  auto config = config_;
  config.moe->expert_hidden.clear();
  const auto twins = duo_model(config);
  {
    const torch::NoGradGuard no_grad;
    for (auto& layer : twins->layers) {
      layer->moe->experts->in[1].copy_(layer->moe->experts->in[0]);
      layer->moe->experts->out[1].copy_(layer->moe->experts->out[0]);
    }
  }
  const auto same = measure_routes(*twins, windows_, routes_, 5, 1);
  EXPECT_LT((same.nll - same.nll[0]).abs().max().item<double>(), 1e-4);
  EXPECT_LT(same.log_z.at(2).abs().max().item<double>(), 1e-4);
  EXPECT_LT(spread(same.nll, with_budget(routes_, 2)), 1e-4);
}

TEST_F(Oracle, LogZIsBetweenZeroAndLogKAndMakesADistribution) {
  for (int b = 0; b <= kLayers; ++b) {
    const auto set = with_budget(routes_, b);
    const auto& log_z = losses_.log_z.at(b);
    EXPECT_GE(log_z.min().item<double>(), -1e-5);
    EXPECT_LE(log_z.max().item<double>(), std::log(static_cast<double>(set.size())) + 1e-5);
    // The same from every route's probabilities, and with them the sum of the code's.
    torch::Tensor most;
    std::vector<Route> chosen;
    for (const auto r : set) chosen.push_back(routes_[static_cast<std::size_t>(r)]);
    const auto length = windows_.size(1) - 1;
    visit_routes(*model_, windows_.narrow(1, 0, length).contiguous(), chosen,
                 [&](std::size_t, const torch::Tensor& logits) {
                   const auto p = logits.flatten(0, 1).softmax(1);
                   most = most.defined() ? torch::maximum(most, p) : p;
                 });
    const auto total = (most / log_z.exp().unsqueeze(1)).sum(1);
    EXPECT_TRUE(torch::allclose(total, torch::ones_like(total), 1e-4, 1e-5));
    EXPECT_GE(code_length(losses_, b) + 1e-6, mean(oracle(losses_.nll, set).nll));
  }
}

TEST_F(Oracle, NullRoutesHaveTheSpreadAndTheMeansOfTheSet) {
  const auto set = with_budget(routes_, 2);
  const auto fixed = best_fixed(losses_.nll, set);
  const auto count = static_cast<std::int64_t>(set.size());
  const auto copies = perturbed_losses(
      *model_, windows_, routes_[static_cast<std::size_t>(fixed.route)], count, 0.1, 3, 11);
  EXPECT_TRUE(copies.equal(perturbed_losses(
      *model_, windows_, routes_[static_cast<std::size_t>(fixed.route)], count, 0.1, 3, 11)));
  EXPECT_GT((copies[0] - copies[1]).abs().max().item<double>(), 1e-3);
  const auto null = null_oracle(copies, losses_.nll, set);
  EXPECT_GT(null.scale, 0.0);
  // Less than the best of the set's means: choosing among noise looks like a gain.
  EXPECT_LT(null.nll, fixed.nll);
  // Copies that do not differ gain nothing by choice, whatever is asked of their spread.
  const auto same = copies[0].unsqueeze(0).expand({count, -1}).contiguous();
  EXPECT_NEAR(null_oracle(same, losses_.nll, set).nll, fixed.nll, 1e-6);
}

TEST_F(Oracle, SequentialRoutesReproduceTheirLossesAndUniformOnesDoNot) {
  testing_support::MemoryFileSystem fs;
  models::save_model(fs, *model_, "duo");
  runtime::Engine engine(runtime::Model::open(fs, "duo"), {.threads = 1});
  const auto row = windows_[0].to(torch::kInt32).contiguous();
  const std::span tokens(row.data_ptr<std::int32_t>(), static_cast<std::size_t>(row.numel()));
  const auto three = enumerate_routes(kLayers, 2, kThree);
  const auto greedy = sequential_oracle(engine, tokens, three);
  const auto again = replay(engine, tokens, greedy.routes);
  ASSERT_EQ(again.size(), greedy.nll.size());
  for (std::size_t t = 0; t < again.size(); ++t) {
    EXPECT_NEAR(again[t], greedy.nll[t], 1e-5) << t;
    EXPECT_EQ(budget_of(greedy.routes[t]), 2);
  }
  // The first token has no prefix: there both oracles see the same, and agree with libtorch.
  const auto set = with_budget(routes_, 2);
  const auto uniform = oracle(losses_.nll, set);
  std::vector<Route> two, chosen;
  for (const auto r : set) two.push_back(routes_[static_cast<std::size_t>(r)]);
  EXPECT_NEAR(sequential_oracle(engine, tokens, two).nll[0], uniform.nll[0].item<double>(), 1e-4);
  for (std::size_t t = 0; t < again.size(); ++t) {
    const auto r = uniform.route[static_cast<std::int64_t>(t)].item<std::int64_t>();
    chosen.push_back(routes_[static_cast<std::size_t>(r)]);
  }
  const auto mixed = replay(engine, tokens, chosen);
  double worst = 0;
  for (std::size_t t = 0; t < mixed.size(); ++t) {
    worst = std::max(worst,
                     std::abs(mixed[t] - uniform.nll[static_cast<std::int64_t>(t)].item<double>()));
  }
  EXPECT_GT(worst, 1e-3);
}

// A route all big is a dense model with the big networks only; all small likewise; all skip leaves
// attention alone.
TEST_F(Oracle, RoutesOfOneOptionAreDenseModels) {
  const torch::NoGradGuard no_grad;
  const auto tokens = windows_.narrow(1, 0, 12).contiguous();
  for (const std::int32_t option : kThree) {
    auto config = config_;
    config.moe.reset();
    config.layer_is_moe.assign(kLayers, false);
    config.dense.hidden = option == routing::kNoExpert ? 1 : config_.moe->ffn(option).hidden;
    models::Decoder dense(config, 1);
    const auto from = model_->named_parameters();
    for (auto& item : dense.named_parameters()) {
      if (from.contains(item.key())) item.value().copy_(from[item.key()]);
    }
    for (std::size_t l = 0; l < dense.layers.size(); ++l) {
      auto& ffn = *dense.layers[l]->dense;
      const auto& bank = *model_->layers[l]->moe->experts;
      if (option == routing::kNoExpert) {
        ffn.down.zero_();
      } else {
        ffn.gate.copy_(bank.gate(option));
        ffn.up.copy_(bank.up(option));
        ffn.down.copy_(bank.down(option));
      }
    }
    models::ForwardContext plain, prescribed;
    prescribed.forced = forced(Route(kLayers, option));
    EXPECT_LT((dense.forward(tokens, plain) - model_->forward(tokens, prescribed))
                  .abs()
                  .max()
                  .item<double>(),
              1e-4)
        << option;
  }
}

TEST_F(Oracle, RoutesByTokenAreTheRoutesGatheredByToken) {
  const torch::NoGradGuard no_grad;
  // One layer: nothing but a token's own route reaches it.
  const auto config = duo_config(1);
  const auto model = duo_model(config);
  const auto tokens = windows_.narrow(1, 0, 12).contiguous();
  const auto pick = torch::arange(60).remainder(3).view({5, 12}) - 1;
  models::ForwardContext mixed;
  mixed.forced = models::ForcedRoutes{.experts = pick.unsqueeze(1)};
  const auto together = model->forward(tokens, mixed);
  for (const std::int32_t option : kThree) {
    models::ForwardContext context;
    context.forced = forced({option});
    const auto alone = model->forward(tokens, context);
    const auto at = pick == option;
    EXPECT_TRUE(torch::allclose(together.index({at}), alone.index({at}), 1e-5, 1e-5)) << option;
  }
}

TEST(Hindsight, SpearmanOfKnownRanks) {
  const auto a = torch::tensor({1.0, 2.0, 3.0, 4.0});
  EXPECT_NEAR(spearman(a, a * 10 + 1), 1.0, 1e-12);
  EXPECT_NEAR(spearman(a, -a.pow(3)), -1.0, 1e-12);
  EXPECT_NEAR(spearman(a, torch::tensor({1.0, 1.0, 2.0, 2.0})), 0.894427191, 1e-9);
  EXPECT_EQ(spearman(a, torch::ones(4)), 0.0);
}

}  // namespace
}  // namespace switchyard::train::oracle
