// Recorded logits, loss and gradients of tiny seeded models: a change that moves them by more than
// rounding is seen, and must be meant. To record anew after a meant change:
//
//   SWITCHYARD_RECORD_GOLDEN=tests/golden build/release/tests/golden/decoder_golden_test
//
// The models are made by init.h's generator, whose values are the same on every machine.
#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <torch/nn/functional/loss.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "switchyard/file_system.h"

#include "models/decoder.h"
#include "models/init.h"
#include "support/tiny_model.h"

namespace switchyard {
namespace {

using nlohmann::json;
using namespace testing_support;

struct Case {
  const char* name;
  ModelConfig config;
};

std::vector<Case> cases() {
  auto mixtral = tiny_mixtral();
  mixtral.moe->router.losses.balance_coefficient = 0.01F;
  mixtral.moe->router.losses.z_coefficient = 0.001F;
  return {{"llama", tiny_llama()},
          {"mixtral", mixtral},
          {"olmoe", tiny_olmoe()},
          {"switchyard", tiny_switchyard()}};
}

// Numbers a person can compare: a few values in the order of memory, and the norm of all.
json summary(const torch::Tensor& tensor) {
  const auto flat = tensor.detach().to(torch::kFloat64).flatten();
  json values = json::array();
  const auto step = std::max<std::int64_t>(1, flat.numel() / 5);
  for (std::int64_t i = 0; i < flat.numel() && values.size() < 5; i += step) {
    values.push_back(flat[i].item<double>());
  }
  return {{"norm", flat.norm().item<double>()}, {"values", values}};
}

json measure(const ModelConfig& config) {
  models::Decoder model(config, 42);
  {
    // Larger than at the start of training, so that every part has a say in the logits.
    const torch::NoGradGuard no_grad;
    for (auto& parameter : model.named_parameters()) {
      if (parameter.value().dim() > 1) {
        models::fill_normal(parameter.value(), 0.2, 42, parameter.key());
      }
    }
  }
  const auto tokens = (torch::arange(34) * 13 + 5).remainder(config.vocab).view({2, 17});
  models::ForwardContext context;
  context.training = true;
  const auto logits = model.forward(tokens.narrow(1, 0, 16), context);
  auto loss =
      torch::nn::functional::cross_entropy(logits.flatten(0, 1), tokens.narrow(1, 1, 16).flatten());
  json result = {{"loss", loss.item<double>()}, {"logits", summary(logits)}};
  if (const auto extra = context.total_loss(); extra.defined()) {
    result["router_loss"] = extra.item<double>();
    loss = loss + extra;
  }
  loss.backward();
  for (const auto& parameter : model.named_parameters()) {
    if (parameter.value().grad().defined()) {
      result["gradients"][parameter.key()] = summary(parameter.value().grad());
    }
  }
  return result;
}

// Relative to the norm of a tensor, or to 1 for single numbers.
constexpr double kTolerance = 2e-5;

void expect_near(const json& actual, const json& expected, double scale, const std::string& path) {
  if (expected.is_object()) {
    ASSERT_EQ(actual.size(), expected.size()) << path;
    if (expected.contains("norm")) scale = expected["norm"].get<double>();
    for (const auto& [key, value] : expected.items()) {
      ASSERT_TRUE(actual.contains(key)) << path << "/" << key;
      expect_near(actual[key], value, scale, path + "/" + key);
    }
  } else if (expected.is_array()) {
    ASSERT_EQ(actual.size(), expected.size()) << path;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      expect_near(actual[i], expected[i], scale, path + "/" + std::to_string(i));
    }
  } else {
    EXPECT_NEAR(actual.get<double>(), expected.get<double>(), kTolerance * std::max(scale, 1e-6))
        << path;
  }
}

TEST(DecoderGolden, LogitsLossAndGradientsAreThoseRecorded) {
  json actual;
  for (const auto& [name, config] : cases()) actual[name] = measure(config);
  if (const char* directory = std::getenv("SWITCHYARD_RECORD_GOLDEN")) {
    write_file_atomically(real_file_system(), std::string(directory) + "/decoder.json",
                          actual.dump(1) + "\n");
    GTEST_SKIP() << "recorded";
  }
  const auto expected =
      json::parse(read_file(real_file_system(), SWITCHYARD_GOLDEN_DIRECTORY "/decoder.json"));
  expect_near(actual, expected, 1, "");
}

}  // namespace
}  // namespace switchyard
