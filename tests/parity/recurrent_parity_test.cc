// The recurrent router twice: torch's own cell against the step of routing/recurrent.h, over
// layers, and what gradient crosses them.
#include <gtest/gtest.h>
#include <vector>

#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "switchyard/routing.h"

#include "models/routers/router.h"
#include "routing/recurrent.h"

namespace switchyard::models {
namespace {

using routing::Cell;
using routing::StatePassing;

constexpr std::int64_t kWidth = 7, kItems = 11, kLayers = 4, kExperts = 6;

routing::Config config_of(Cell cell, StatePassing passing) {
  auto config = routing::default_config(routing::Kind::recurrent);
  config.experts = kExperts;
  config.router_hidden = 5;
  config.cell = cell;
  config.state_passing = passing;
  return config;
}

std::vector<float> values(const torch::Tensor& tensor) {
  const auto flat = tensor.detach().to(torch::kFloat32).contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

// The routers of all layers over one cell.
struct Stack {
  explicit Stack(const routing::Config& c, torch::ScalarType type = torch::kFloat32) : config(c) {
    torch::manual_seed(4);
    cell = RouterCell(config);
    cell->to(type);
    for (int l = 0; l < kLayers; ++l) {
      routers.push_back(make_router(config, kWidth, cell, 0.5));
      routers.back()->to(type);
      inputs.push_back(torch::randn({kItems, kWidth}, type));
    }
  }

  std::vector<RouterOutput> forward() {
    RouterState state;
    std::vector<RouterOutput> out;
    for (std::size_t l = 0; l < kLayers; ++l) {
      state.layer = static_cast<std::uint32_t>(l);
      out.push_back(routers[l]->forward(inputs[l], {}, state));
    }
    return out;
  }

  routing::Config config;
  RouterCell cell{nullptr};
  std::vector<Router> routers;
  std::vector<torch::Tensor> inputs;
};

void expect_parity(Stack& stack) {
  const torch::NoGradGuard no_grad;
  const auto out = stack.forward();
  const auto& cell = *stack.cell;
  routing::State state;
  for (std::size_t l = 0; l < kLayers; ++l) {
    routing::begin_step(stack.config, kItems, state);
    const auto h = torch::tensor(state.recurrent).view({kItems, -1});
    const auto x = torch::linear(stack.inputs[l], stack.routers[l]->projection);
    const auto from_input = values(torch::linear(x, cell.weight_ih));
    const auto from_state = values(torch::linear(h, cell.weight_hh));
    const auto bias_ih = values(cell.bias_ih), bias_hh = values(cell.bias_hh);
    routing::step_state(stack.config,
                        {.from_input = from_input,
                         .from_state = from_state,
                         .bias_ih = bias_ih,
                         .bias_hh = bias_hh},
                        state.recurrent);
    const auto logits =
        torch::linear(torch::tensor(state.recurrent).view({kItems, -1}), stack.routers[l]->weight);
    EXPECT_TRUE(torch::allclose(out[l].logits, logits, 1e-5, 1e-6)) << "layer " << l;
    const auto flat = values(out[l].logits);
    const auto want = routing::route(stack.config, {.logits = flat, .items = kItems}, state);
    const auto chosen = values(out[l].indices);
    EXPECT_EQ(std::vector<std::int32_t>(chosen.begin(), chosen.end()), want.expert);
  }
}

TEST(RecurrentParity, TorchsCellAndThePureStepAgreeThroughTheLayers) {
  for (const auto cell : {Cell::gru, Cell::rnn}) {
    for (const auto passing : {StatePassing::full, StatePassing::detach, StatePassing::none}) {
      Stack stack(config_of(cell, passing));
      expect_parity(stack);
    }
  }
}

TEST(RecurrentParity, AlsoWhereGatesSaturateAndWhereEverythingIsZero) {
  for (const double scale : {0.0, 1e-30, 60.0, 1e4}) {
    Stack stack(config_of(Cell::gru, StatePassing::full));
    for (auto& x : stack.inputs) x = x * scale;
    expect_parity(stack);
  }
}

// d logits of layer j / d input of layer i, as its largest entry.
double reach(StatePassing passing, std::size_t from, std::size_t to) {
  Stack stack(config_of(Cell::gru, passing), torch::kFloat64);
  for (auto& x : stack.inputs) x.requires_grad_();
  const auto out = stack.forward();
  const auto gradient =
      torch::autograd::grad({out[to].logits.square().sum()}, {stack.inputs[from]}, {}, c10::nullopt,
                            /*create_graph=*/false, /*allow_unused=*/true)[0];
  return gradient.defined() ? gradient.abs().max().item<double>() : 0.0;
}

TEST(RecurrentGradient, ReachesEarlierLayersThroughTheStateUnlessDetachedOrNotPassed) {
  EXPECT_GT(reach(StatePassing::full, 0, 3), 0.0);
  EXPECT_GT(reach(StatePassing::full, 1, 2), 0.0);
  EXPECT_EQ(reach(StatePassing::detach, 0, 3), 0.0);
  EXPECT_EQ(reach(StatePassing::none, 0, 3), 0.0);
  for (const auto passing : {StatePassing::full, StatePassing::detach, StatePassing::none}) {
    EXPECT_GT(reach(passing, 2, 2), 0.0);
    EXPECT_EQ(reach(passing, 3, 1), 0.0);  // never backwards
  }
}

TEST(RecurrentGradient, MatchesFiniteDifferencesOverAllLayers) {
  for (const auto cell : {Cell::gru, Cell::rnn}) {
    Stack stack(config_of(cell, StatePassing::full), torch::kFloat64);
    const auto loss = [&] {
      torch::Tensor sum;
      for (const auto& out : stack.forward()) {
        const auto probe = torch::arange(1, out.logits.numel() + 1, torch::kFloat64).sin();
        const auto part = (out.probs.flatten() * probe).sum();
        sum = sum.defined() ? sum + part : part;
      }
      return sum;
    };
    std::vector<torch::Tensor> leaves = stack.cell->parameters();
    leaves.push_back(stack.routers[0]->projection);
    leaves.push_back(stack.routers[2]->weight);
    for (const auto& leaf : leaves) {
      const auto gradient = torch::autograd::grad({loss()}, {leaf})[0];
      const torch::NoGradGuard no_grad;
      const auto flat = leaf.view(-1);
      for (std::int64_t i = 0; i < leaf.numel(); i += 7) {
        const double at = flat[i].item<double>(), step = 1e-5;
        flat[i] = at + step;
        const double up = loss().item<double>();
        flat[i] = at - step;
        const double down = loss().item<double>();
        flat[i] = at;
        EXPECT_NEAR(gradient.view(-1)[i].item<double>(), (up - down) / (2 * step), 1e-7);
      }
    }
  }
}

TEST(RecurrentGradient, AFrozenRouterKeepsItsWeightsAndPassesGradientOn) {
  auto config = config_of(Cell::gru, StatePassing::full);
  config.frozen = true;
  Stack stack(config);
  for (const auto& parameter : stack.cell->parameters()) EXPECT_FALSE(parameter.requires_grad());
  for (auto& x : stack.inputs) x.requires_grad_();
  stack.forward().back().weights.square().sum().backward();
  EXPECT_GT(stack.inputs[0].grad().abs().max().item<double>(), 0.0);
}

TEST(Recurrent, PermutingItemsPermutesTheRoutes) {
  const torch::NoGradGuard no_grad;
  Stack stack(config_of(Cell::gru, StatePassing::full));
  const auto before = stack.forward();
  const auto order = torch::randperm(kItems);
  for (auto& x : stack.inputs) x = x.index_select(0, order);
  const auto after = stack.forward();
  for (std::size_t l = 0; l < kLayers; ++l) {
    EXPECT_TRUE(after[l].indices.equal(before[l].indices.index_select(0, order)));
    EXPECT_TRUE(torch::allclose(after[l].logits, before[l].logits.index_select(0, order)));
  }
}

TEST(MlpRouter, IsTwoLayersWithGeluAndIsTrained) {
  torch::manual_seed(5);
  const routing::Config config{.experts = 6, .experts_per_token = 2, .router_hidden = 9};
  auto router = make_router(config, kWidth);
  const auto x = torch::randn({kItems, kWidth});
  RouterState state;
  const auto out = router->forward(x, {}, state);
  const auto hidden = torch::gelu(torch::linear(x, router->projection), "none");
  EXPECT_TRUE(torch::allclose(out.logits, torch::linear(hidden, router->weight)));
  EXPECT_FALSE(state.recurrent.defined());
  out.weights.square().sum().backward();
  EXPECT_GT(router->projection.grad().abs().max().item<double>(), 0.0);
}

}  // namespace
}  // namespace switchyard::models
