#include "models/split_ffn.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <utility>
#include <vector>

#include "switchyard/error.h"

#include "models/expert_bank.h"
#include "models/feed_forward.h"
#include "models/testing/gradient_check.h"

namespace switchyard::models {
namespace {

constexpr std::int64_t kWidth = 6, kHidden = 16, kExperts = 4, kItems = 9;

struct Fixture {
  explicit Fixture(bool gated)
      : ffn(kWidth, FfnConfig{kHidden, Activation::gelu, gated}),
        bank(kExperts, kWidth, FfnConfig{kHidden / kExperts, Activation::gelu, gated}),
        x(testing::random_tensor({kItems, kWidth}, 1)) {
    if (gated) ffn->gate.copy_(testing::random_tensor({kHidden, kWidth}, 2));
    ffn->up.copy_(testing::random_tensor({kHidden, kWidth}, 3));
    ffn->down.copy_(testing::random_tensor({kWidth, kHidden}, 4));
    for (std::int64_t e = 0; e < kExperts; ++e) {
      if (gated) bank->gate(e).copy_(split_part("gate", ffn->gate, e, kExperts));
      bank->up(e).copy_(split_part("up", ffn->up, e, kExperts));
      bank->down(e).copy_(split_part("down", ffn->down, e, kExperts));
    }
  }

  // The mean of these experts' outputs.
  torch::Tensor mean_of(const std::vector<std::int64_t>& experts) {
    const auto k = static_cast<std::int64_t>(experts.size());
    const auto slots = torch::tensor(experts).repeat({kItems, 1});
    return apply_experts(*bank, x, slots, torch::full({kItems, k}, 1.0 / static_cast<double>(k)),
                         ComputePath::naive);
  }

  torch::NoGradGuard no_grad;
  FeedForward ffn;
  ExpertBank bank;
  torch::Tensor x;
};

TEST(SplitFfn, AllExpertsWithEqualWeightsAreTheDenseNetwork) {
  for (const bool gated : {true, false}) {
    Fixture f(gated);
    EXPECT_LT(testing::relative_error(f.mean_of({0, 1, 2, 3}), f.ffn->forward(f.x)), 1e-5);
  }
}

TEST(SplitFfn, TheMeanOverAllPairsOfExpertsIsTheDenseNetwork) {
  for (const bool gated : {true, false}) {
    Fixture f(gated);
    auto sum = torch::zeros({kItems, kWidth});
    int pairs = 0;
    for (std::int64_t a = 0; a < kExperts; ++a) {
      for (std::int64_t b = a + 1; b < kExperts; ++b, ++pairs) sum = sum + f.mean_of({a, b});
    }
    EXPECT_EQ(pairs, 6);
    EXPECT_LT(testing::relative_error(sum / pairs, f.ffn->forward(f.x)), 1e-5);
    // One pair alone is not.
    EXPECT_GT(testing::relative_error(f.mean_of({0, 1}), f.ffn->forward(f.x)), 0.1);
  }
}

TEST(SplitFfn, JoiningUndoesIt) {
  Fixture f(true);
  for (const auto& [part, dense] : {std::pair<const char*, torch::Tensor>{"gate", f.ffn->gate},
                                    {"up", f.ffn->up},
                                    {"down", f.ffn->down}}) {
    std::vector<torch::Tensor> parts;
    for (std::int64_t e = 0; e < kExperts; ++e) {
      parts.push_back(split_part(part, dense, e, kExperts));
    }
    EXPECT_TRUE(torch::equal(join_parts(part, parts), dense)) << part;
  }
}

TEST(SplitFfn, AWidthThatDoesNotDivideIsRefused) {
  Fixture f(true);
  try {
    split_part("up", f.ffn->up, 0, 3);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.parts().what, ::testing::HasSubstr("16 cannot be split into 3"));
  }
}

}  // namespace
}  // namespace switchyard::models
