#include "models/decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "switchyard/error.h"

#include "models/testing/gradient_check.h"
#include "support/tiny_model.h"

namespace switchyard::models {
namespace {

using namespace testing_support;
using ::testing::HasSubstr;
using testing::relative_error;

torch::Tensor some_tokens(const ModelConfig& config, std::int64_t batch, std::int64_t length) {
  return (torch::arange(batch * length).square() * 7 + 3)
      .remainder(config.vocab)
      .view({batch, length});
}

torch::Tensor run(Decoder& model, const torch::Tensor& tokens,
                  ComputePath path = ComputePath::automatic) {
  const torch::NoGradGuard no_grad;
  ForwardContext context;
  context.path = path;
  return model.forward(tokens, context);
}

const std::vector<ModelConfig>& all_configs() {
  static const std::vector<ModelConfig> configs{
      tiny_llama(), tiny_mistral(),   tiny_qwen2(),     tiny_mixtral(),
      tiny_olmoe(), tiny_qwen2_moe(), tiny_qwen3_moe(), tiny_switchyard(),
      tiny_duo(),   tiny_recurrent(), tiny_qwen3()};
  return configs;
}

TEST(Decoder, HasTheParametersItsConfigCounts) {
  for (const auto& config : all_configs()) {
    const Decoder model(config, 1);
    std::uint64_t count = 0;
    for (const auto& parameter : model.parameters()) count += parameter.numel();
    for (const auto& layer :
         model.layers) {  // selection biases are buffers, but weights of the file
      if (layer->moe && layer->moe->router->selection_bias.defined()) {
        count += layer->moe->router->selection_bias.numel();
      }
    }
    EXPECT_EQ(count, config.parameters()) << static_cast<int>(config.family);
  }
}

TEST(Decoder, RefusesWhatOnlyTheRuntimeComputes) {
  const auto refusal = [](const ModelConfig& config) -> std::string {
    try {
      const Decoder model(config, 1);
    } catch (const Error& error) {
      return error.parts().what;
    }
    return "accepted";
  };
  EXPECT_THAT(refusal(tiny_deepseek_v2()), HasSubstr("kv_lora_rank"));
  EXPECT_THAT(refusal(tiny_llama3()), HasSubstr("rope_scaling"));
  EXPECT_THAT(refusal(tiny_windowed()), HasSubstr("sliding_window"));
}

TEST(Decoder, LaterTokensDoNotChangeEarlierLogits) {
  for (const auto& config : all_configs()) {
    Decoder model(config, 1);
    auto tokens = some_tokens(config, 2, 12);
    const auto before = run(model, tokens);
    for (const int cut : {1, 6, 11}) {
      auto changed = tokens.clone();
      changed.narrow(1, cut, 12 - cut).add_(1).remainder_(config.vocab);
      const auto after = run(model, changed);
      EXPECT_TRUE(after.narrow(1, 0, cut).allclose(before.narrow(1, 0, cut), 1e-5, 1e-6))
          << static_cast<int>(config.family) << " cut " << cut;
      EXPECT_FALSE(after.narrow(1, cut, 1).allclose(before.narrow(1, cut, 1), 1e-5, 1e-6));
    }
  }
}

TEST(Decoder, ComputePathsAgree) {
  for (const auto& config : all_configs()) {
    Decoder model(config, 1);
    const auto tokens = some_tokens(config, 2, 9);
    const auto expected = run(model, tokens, ComputePath::naive);
    EXPECT_LT(relative_error(run(model, tokens, ComputePath::grouped), expected), 1e-5);
    EXPECT_LT(relative_error(run(model, tokens, ComputePath::masked_dense), expected), 1e-5);
  }
}

TEST(Decoder, SequencesOfABatchDoNotSeeEachOther) {
  const auto config = tiny_mixtral();
  Decoder model(config, 1);
  const auto tokens = some_tokens(config, 3, 7);
  const auto together = run(model, tokens);
  for (int b = 0; b < 3; ++b) {
    EXPECT_LT(relative_error(run(model, tokens.narrow(0, b, 1))[0], together[b]), 1e-5);
  }
}

TEST(Decoder, InitialWeightsAreAFunctionOfTheSeed) {
  const auto config = tiny_mixtral();
  const Decoder one(config, 5), same(config, 5), other(config, 6);
  const auto a = one.named_parameters(), b = same.named_parameters(), c = other.named_parameters();
  for (const auto& entry : a) {
    EXPECT_TRUE(entry.value().equal(b[entry.key()])) << entry.key();
    EXPECT_TRUE(entry.value().dim() == 1 || !entry.value().equal(c[entry.key()])) << entry.key();
  }
  EXPECT_NEAR(one.embedding.std().item<double>(), 0.02, 0.002);
  EXPECT_NEAR(one.embedding.mean().item<double>(), 0, 0.002);
  // Scaled by 1 / sqrt(2 L), L = 2.
  EXPECT_NEAR(one.layers[0]->moe->experts->out.std().item<double>(), 0.01, 0.001);
  EXPECT_EQ(one.final_norm->weight.min().item<float>(), 1);
}

TEST(Decoder, TiedEmbeddingsAreOneParameterThatGetsBothGradients) {
  auto config = tiny_qwen2();
  ASSERT_TRUE(config.tied_embeddings);
  Decoder model(config, 1);
  EXPECT_FALSE(model.output.defined());
  ForwardContext context;
  model.forward(torch::tensor({{1, 2}}), context).sum().backward();
  // Token 50 is not in the input, so its gradient comes from the output side.
  EXPECT_GT(model.embedding.grad()[50].abs().max().item<float>(), 0);
}

TEST(Decoder, RunsInBfloat16) {
  for (const auto& config : {tiny_mixtral(), tiny_olmoe(), tiny_llama(), tiny_switchyard()}) {
    Decoder model(config, 1);
    const auto tokens = some_tokens(config, 2, 9);
    const auto expected = run(model, tokens);
    model.to(torch::kBFloat16);
    const auto actual = run(model, tokens);
    EXPECT_EQ(actual.scalar_type(), torch::kFloat32);
    EXPECT_LT(relative_error(actual, expected), 0.1);
    ForwardContext context;
    model.forward(tokens, context).square().mean().backward();
    for (const auto& parameter : model.named_parameters()) {
      if (parameter.value().grad().defined()) {
        EXPECT_TRUE(parameter.value().grad().isfinite().all().item<bool>()) << parameter.key();
      }
    }
  }
}

TEST(Decoder, ForcedRoutesReachEveryMoeLayer) {
  const auto config = tiny_mixtral();
  Decoder model(config, 1);
  const auto tokens = some_tokens(config, 1, 4);
  const torch::NoGradGuard no_grad;
  ForwardContext context;
  context.forced = ForcedRoutes{.experts = torch::arange(config.layers)};
  model.forward(tokens, context);
  ASSERT_EQ(context.routes.size(), static_cast<std::size_t>(config.layers));
  for (int l = 0; l < config.layers; ++l) {
    EXPECT_TRUE((context.routes[l].indices == l).all().item<bool>());
  }
}

TEST(Decoder, TokensOutsideTheVocabularyAreAnError) {
  const auto config = tiny_llama();
  Decoder model(config, 1);
  for (const std::int64_t bad : {std::int64_t{-1}, std::int64_t{config.vocab}}) {
    try {
      run(model, torch::tensor({{std::int64_t{0}, bad}}));
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_THAT(error.parts().what, HasSubstr(std::to_string(bad)));
      EXPECT_THAT(error.parts().expected, HasSubstr(std::to_string(config.vocab - 1)));
    }
  }
}

TEST(RecurrentDecoder, TheCellIsRegisteredOnceAndTheStateStartsAnewInEveryPass) {
  const auto config = testing_support::tiny_recurrent();
  Decoder model(config, 3);
  int cells = 0;
  for (const auto& item : model.named_parameters()) {
    cells += item.key().find("weight_ih") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(cells, 1);
  EXPECT_EQ(model.router_cell->bias_hh.abs().max().item<float>(), 0.0F);
  // 1 / sqrt(fan in), not 0.02: with it the state would hardly move.
  EXPECT_NEAR(model.layers[0]->moe->router->projection.std().item<double>(), 1 / std::sqrt(32.0),
              0.03);

  const torch::NoGradGuard no_grad;
  const auto tokens = torch::arange(20).view({2, 10});
  ForwardContext context;
  const auto first = model.forward(tokens, context);
  EXPECT_TRUE(model.forward(tokens, context).equal(first));
  // No position sees the state of another: the first half alone says the same.
  ForwardContext half;
  EXPECT_TRUE(torch::allclose(model.forward(tokens.narrow(1, 0, 5), half), first.narrow(1, 0, 5),
                              1e-4, 1e-5));
}

TEST(RecurrentDecoder, ALossOfTheLastRouterReachesTheFirstProjectionThroughTheStateOnly) {
  const auto gradient_of_first = [](routing::StatePassing passing) {
    auto config = testing_support::tiny_recurrent();
    config.moe->router.state_passing = passing;
    Decoder model(config, 3);
    ForwardContext context;
    // With given experts and weights nothing but the state leads from the first router on.
    context.forced = ForcedRoutes{.experts = torch::zeros({config.layers}, torch::kInt64),
                                  .weights = torch::ones({config.layers})};
    model.forward(torch::arange(20).view({2, 10}), context);
    const auto gradient = torch::autograd::grad({context.routes.back().logits.square().sum()},
                                                {model.layers[0]->moe->router->projection}, {},
                                                c10::nullopt, false, true)[0];
    return gradient.defined() ? gradient.norm().item<double>() : 0.0;
  };
  EXPECT_GT(gradient_of_first(routing::StatePassing::full), 0.0);
  EXPECT_EQ(gradient_of_first(routing::StatePassing::detach), 0.0);
  EXPECT_EQ(gradient_of_first(routing::StatePassing::none), 0.0);
}

}  // namespace
}  // namespace switchyard::models
