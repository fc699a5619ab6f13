// The three compute paths against each other, against finite differences, and in the corners.
#include "models/expert_paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <vector>

#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "switchyard/error.h"

#include "models/testing/gradient_check.h"

namespace switchyard::models {
namespace {

using testing::gradient_error;
using ::testing::HasSubstr;
using testing::random_tensor;
using testing::relative_error;

struct Case {
  const char* name;
  std::int64_t items, width, experts, choices, hidden;
  Activation activation = Activation::silu;
  bool gated = true;
  std::vector<std::int64_t> widths = {};  // of the experts where they differ; largest: hidden
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

ExpertBank make_bank(const Case& c, torch::ScalarType type = torch::kFloat32) {
  ExpertBank bank(
      c.experts, c.width,
      FfnConfig{.hidden = static_cast<int>(c.hidden), .activation = c.activation, .gated = c.gated},
      c.widths);
  const torch::NoGradGuard no_grad;
  bank->to(type);
  bank->in.copy_(random_tensor(bank->in.sizes(), 1));
  bank->out.copy_(random_tensor(bank->out.sizes(), 2));
  return bank;
}

// K different experts an item; the pattern leaves experts empty when there are few items.
torch::Tensor make_slots(const Case& c) {
  const auto item = torch::arange(c.items).unsqueeze(1);
  return (item * item + 3 * item + torch::arange(c.choices)).remainder(c.experts);
}

struct Result {
  torch::Tensor y, x, weights, in, out;
};

Result run(ExpertBank& bank, torch::Tensor x, const torch::Tensor& slots, torch::Tensor weights,
           ComputePath path) {
  x = x.detach().clone().requires_grad_();
  weights = weights.detach().clone().requires_grad_();
  auto y = apply_experts(*bank, x, slots, weights, path);
  const auto probe = random_tensor(y.sizes(), 7, y.scalar_type());
  const auto gradient = torch::autograd::grad(
      {(y * probe).sum()}, {x, weights, bank->in, bank->out}, {}, {}, false, /*allow_unused=*/true);
  const auto or_zero = [](const torch::Tensor& t, const torch::Tensor& like) {
    return t.defined() ? t : torch::zeros_like(like);
  };
  return {y.detach(), or_zero(gradient[0], x), or_zero(gradient[1], weights),
          or_zero(gradient[2], bank->in), or_zero(gradient[3], bank->out)};
}

void expect_close(const Result& actual, const Result& expected, double tolerance) {
  EXPECT_LT(relative_error(actual.y, expected.y), tolerance);
  EXPECT_LT(relative_error(actual.x, expected.x), tolerance);
  EXPECT_LT(relative_error(actual.weights, expected.weights), tolerance);
  EXPECT_LT(relative_error(actual.in, expected.in), tolerance);
  EXPECT_LT(relative_error(actual.out, expected.out), tolerance);
}

class Paths : public ::testing::TestWithParam<Case> {};

TEST_P(Paths, AgreeWithTheNaiveLoopInValuesAndGradients) {
  const auto c = GetParam();
  auto bank = make_bank(c);
  const auto x = random_tensor({c.items, c.width}, 3);
  const auto slots = make_slots(c);
  const auto weights = random_tensor({c.items, c.choices}, 4);
  const auto expected = run(bank, x, slots, weights, ComputePath::naive);
  for (const auto path :
       {ComputePath::grouped, ComputePath::masked_dense, ComputePath::automatic}) {
    SCOPED_TRACE(path_name(path));
    expect_close(run(bank, x, slots, weights, path), expected, 1e-5);
  }
}

TEST_P(Paths, HaveTheGradientsOfFiniteDifferences) {
  auto c = GetParam();
  c.items = std::min<std::int64_t>(c.items, 5);
  c.width = std::min<std::int64_t>(c.width, 6);
  c.hidden = std::min<std::int64_t>(c.hidden, 19);  // beyond one block of the backward's lanes
  for (auto& width : c.widths) width = std::min(width, c.hidden);
  auto bank = make_bank(c, torch::kFloat64);
  const auto x = random_tensor({c.items, c.width}, 3, torch::kFloat64).requires_grad_();
  const auto weights = random_tensor({c.items, c.choices}, 4, torch::kFloat64).requires_grad_();
  const auto slots = make_slots(c);
  for (const auto path : {ComputePath::naive, ComputePath::grouped, ComputePath::masked_dense}) {
    SCOPED_TRACE(path_name(path));
    const auto error = gradient_error({x, weights, bank->in, bank->out}, [&] {
      return apply_experts(*bank, x, slots, weights, path);
    });
    EXPECT_LT(error, 1e-7);
  }
}

TEST_P(Paths, ComposedGroupedPathAgreesToo) {
  const auto c = GetParam();
  auto bank = make_bank(c);
  const auto x = random_tensor({c.items, c.width}, 3);
  const auto slots = make_slots(c);
  const auto weights = random_tensor({c.items, c.choices}, 4);
  const torch::NoGradGuard no_grad;
  EXPECT_LT(relative_error(grouped_composed(*bank, x, slots, weights),
                           naive_experts(*bank, x, slots, weights)),
            1e-5);
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Paths,
    ::testing::Values(
        Case{"typical", 100, 32, 8, 2, 24}, Case{"one item", 1, 16, 4, 2, 8},
        Case{"one expert", 9, 16, 1, 1, 8}, Case{"all experts", 9, 16, 4, 4, 8},
        Case{"width one", 20, 1, 4, 2, 1}, Case{"many empty experts", 3, 8, 64, 2, 8},
        Case{"several blocks an expert", 700, 8, 2, 1, 8},
        Case{"several gradient blocks", 12, 600, 2, 1, 300},
        Case{"plain relu", 40, 16, 4, 2, 33, Activation::relu, false},
        Case{"plain gelu", 40, 16, 4, 2, 8, Activation::gelu, false},
        Case{"gated gelu tanh", 40, 16, 4, 2, 8, Activation::gelu_tanh, true},
        Case{"big and small", 90, 32, 2, 1, 48, Activation::silu, true, {48, 3}},
        Case{"big and small, all chosen", 90, 32, 2, 2, 48, Activation::silu, true, {3, 48}},
        Case{"four widths", 600, 8, 4, 2, 20, Activation::silu, true, {5, 20, 1, 17}},
        Case{"four widths, plain", 40, 8, 4, 3, 20, Activation::gelu, false, {5, 20, 1, 17}}),
    [](const auto& test) {
      std::string name = test.param.name;
      std::erase(name, ',');
      std::replace(name.begin(), name.end(), ' ', '_');
      return name;
    });

TEST(ExpertPaths, WidthsThatDifferComputeWhatEachExpertAloneWould) {
  const Case c{"", 12, 8, 3, 1, 20, Activation::silu, true, {20, 4, 9}};
  auto bank = make_bank(c);
  EXPECT_FALSE(bank->equal_widths());
  const auto x = random_tensor({12, 8}, 3);
  for (std::int64_t e = 0; e < 3; ++e) {
    EXPECT_EQ(bank->gate(e).size(0), c.widths[e]);
    EXPECT_EQ(bank->down(e).size(1), c.widths[e]);
    const auto alone =
        torch::linear(torch::silu(torch::linear(x, bank->gate(e))) * torch::linear(x, bank->up(e)),
                      bank->down(e));
    const auto slots = torch::full({12, 1}, e, torch::kInt64);
    EXPECT_LT(
        relative_error(apply_experts(*bank, x, slots, torch::ones({12, 1}), ComputePath::grouped),
                       alone),
        1e-5);
  }
}

TEST(ExpertPaths, FrozenExpertsGetNoGradientAndTheOthersStayTheSame) {
  const Case c{"", 30, 8, 2, 2, 20, Activation::silu, true, {20, 4}};
  auto bank = make_bank(c);
  const auto slots = make_slots(c);
  const auto x = random_tensor({30, 8}, 3);
  const auto weights = random_tensor({30, 2}, 4);
  const auto expected = run(bank, x, slots, weights, ComputePath::grouped);
  bank->in.requires_grad_(false);
  bank->out.requires_grad_(false);
  auto leaf = weights.detach().clone().requires_grad_();
  const auto y = apply_experts(*bank, x, slots, leaf, ComputePath::grouped);
  (y * random_tensor(y.sizes(), 7)).sum().backward();
  EXPECT_TRUE(leaf.grad().equal(expected.weights));
  EXPECT_FALSE(bank->in.grad().defined());
}

TEST(ExpertPaths, MissingChoicesAndSharedSlots) {
  const Case c{"", 6, 8, 3, 3, 8};
  auto bank = make_bank(c);
  // An item without experts, one with a hole, and choices that alias one slot: their weights add.
  const auto slots = torch::tensor(
      {{-1, -1, -1}, {2, -1, 1}, {0, 0, 1}, {2, 2, 2}, {1, 0, -1}, {-1, -1, 2}}, torch::kInt64);
  const auto x = random_tensor({6, 8}, 3);
  const auto weights = random_tensor({6, 3}, 4);
  const auto expected = run(bank, x, slots, weights, ComputePath::naive);
  EXPECT_EQ(expected.y[0].abs().max().item<float>(), 0);
  EXPECT_EQ(expected.weights.masked_select(slots < 0).abs().max().item<float>(), 0);
  for (const auto path : {ComputePath::grouped, ComputePath::masked_dense}) {
    SCOPED_TRACE(path_name(path));
    expect_close(run(bank, x, slots, weights, path), expected, 1e-5);
  }
  EXPECT_LT(relative_error(grouped_composed(*bank, x, slots, weights), expected.y), 1e-5);
}

TEST(ExpertPaths, NoAssignmentAtAll) {
  const Case c{"", 4, 8, 3, 2, 8};
  auto bank = make_bank(c);
  const auto slots = torch::full({4, 2}, -1, torch::kInt64);
  for (const auto path : {ComputePath::naive, ComputePath::grouped, ComputePath::masked_dense}) {
    SCOPED_TRACE(path_name(path));
    auto x = random_tensor({4, 8}, 3).requires_grad_();
    const auto y = apply_experts(*bank, x, slots, torch::ones({4, 2}), path);
    EXPECT_EQ(y.abs().max().item<float>(), 0);
  }
}

TEST(ExpertPaths, AChosenExpertWithWeightZeroStillPassesTheGradientOfItsWeight) {
  const Case c{"", 5, 8, 4, 2, 8};
  auto bank = make_bank(c);
  const auto slots = make_slots(c);
  const auto x = random_tensor({5, 8}, 3);
  const auto expected = run(bank, x, slots, torch::zeros({5, 2}), ComputePath::naive);
  EXPECT_GT(expected.weights.abs().min().item<float>(), 0);
  for (const auto path : {ComputePath::grouped, ComputePath::masked_dense}) {
    expect_close(run(bank, x, slots, torch::zeros({5, 2}), path), expected, 1e-5);
  }
}

TEST(ExpertPaths, GroupedGivesTheSameBitsForAnyNumberOfThreads) {
  const Case c{"", 600, 64, 8, 2, 48};
  auto bank = make_bank(c);
  const auto slots = make_slots(c);
  const auto x = random_tensor({c.items, c.width}, 3);
  const auto weights = random_tensor({c.items, c.choices}, 4);
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "libgomp is not instrumented: its barriers look like races";
#endif
  const int before = torch::get_num_threads();
  torch::set_num_threads(1);
  const auto one = run(bank, x, slots, weights, ComputePath::grouped);
  for (const int threads : {2, 3}) {
    torch::set_num_threads(threads);
    const auto many = run(bank, x, slots, weights, ComputePath::grouped);
    EXPECT_TRUE(one.y.equal(many.y) && one.x.equal(many.x) && one.weights.equal(many.weights) &&
                one.in.equal(many.in) && one.out.equal(many.out))
        << threads << " threads";
  }
  torch::set_num_threads(before);
}

TEST(ExpertPaths, ASecondDerivativeOfTheGroupedPathIsRefused) {
  const Case c{"", 5, 8, 4, 2, 8};
  auto bank = make_bank(c);
  auto x = random_tensor({5, 8}, 3).requires_grad_();
  const auto y = apply_experts(*bank, x, make_slots(c), torch::ones({5, 2}), ComputePath::grouped);
  try {
    torch::autograd::grad({y.sum()}, {x}, {}, true, /*create_graph=*/true);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.parts().what, HasSubstr("second derivative"));
    EXPECT_THAT(error.parts().fix, HasSubstr("naive"));
  }
}

TEST(ExpertPaths, Bfloat16OnTheCpu) {
  const Case c{"", 50, 32, 4, 2, 16};
  auto bank = make_bank(c);
  const auto x = random_tensor({c.items, c.width}, 3);
  const auto slots = make_slots(c);
  const auto weights = random_tensor({c.items, c.choices}, 4);
  const auto expected = run(bank, x, slots, weights, ComputePath::naive);
  bank->to(torch::kBFloat16);
  const auto actual = run(bank, x.to(torch::kBFloat16), slots, weights, ComputePath::grouped);
  EXPECT_EQ(actual.y.scalar_type(), torch::kBFloat16);
  expect_close(actual, expected, 0.03);  // 8 bits of mantissa over two products
}

TEST(ComputePathNames, RoundTripAndUnknownNames) {
  for (const auto path : {ComputePath::automatic, ComputePath::naive, ComputePath::grouped,
                          ComputePath::masked_dense}) {
    EXPECT_EQ(path_from_name(path_name(path)), path);
  }
  try {
    path_from_name("fast");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.parts().what, HasSubstr("fast"));
    EXPECT_THAT(error.parts().expected, HasSubstr("masked-dense"));
  }
}

}  // namespace
}  // namespace switchyard::models
