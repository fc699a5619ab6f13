#include "models/share_threshold.h"

#include <algorithm>
#include <cmath>

#include "switchyard/error.h"

#include "base/check.h"

namespace switchyard::models {
namespace {

constexpr int kRounds = 5;

void require_two_outputs(const ModelConfig& config) {
  const bool fits = config.moe && config.moe->router.kind == routing::Kind::top_k &&
                    config.moe->router.score == routing::Score::softmax &&
                    routing::router_width(config.moe->router) == 2 &&
                    config.moe->router.experts == 2 && config.moe->router.experts_per_token == 1;
  if (fits) return;
  throw Error({.what = "a share cannot be calibrated for this router",
               .where = "model",
               .expected = "a softmax top-k router that chooses one of two experts",
               .fix = ""});
}

}  // namespace

double share_threshold(const torch::Tensor& values, double share) {
  SWITCHYARD_CHECK(values.numel() > 0 && share >= 0 && share <= 1);
  const auto sorted =
      std::get<0>(values.detach().to(torch::kCPU, torch::kFloat64).flatten().sort(0, true));
  const auto count = sorted.numel();
  const auto chosen = static_cast<std::int64_t>(std::llround(share * static_cast<double>(count)));
  const auto at = [&](std::int64_t i) { return sorted[i].item<double>(); };
  if (chosen == 0) return 2.0;
  if (chosen == count) return -1.0;
  return 0.5 * (at(chosen - 1) + at(chosen));
}

std::shared_ptr<Decoder> with_thresholds(const Decoder& model,
                                         const std::vector<double>& thresholds) {
  require_two_outputs(model.config());
  auto config = model.config();
  config.moe->router.selection_bias = true;
  auto result = std::make_shared<Decoder>(config, 0);
  result->to(model.embedding.device());
  const torch::NoGradGuard no_grad;
  const auto from = model.named_parameters();
  for (auto& item : result->named_parameters()) item.value().copy_(from[item.key()]);
  std::size_t next = 0;
  for (std::size_t l = 0; l < result->layers.size(); ++l) {
    auto& moe = result->layers[l]->moe;
    if (!moe) continue;
    moe->expert_map.copy_(model.layers[l]->moe->expert_map);
    SWITCHYARD_CHECK(next < thresholds.size());
    moe->router->selection_bias.copy_(torch::tensor({1.0 - 2.0 * thresholds[next++], 0.0}));
  }
  SWITCHYARD_CHECK(next == thresholds.size());
  return result;
}

std::vector<torch::Tensor> first_probabilities(Decoder& model, const torch::Tensor& tokens) {
  const torch::NoGradGuard no_grad;
  ForwardContext context;
  context.soft = false;
  model.hidden(tokens, context);
  std::vector<torch::Tensor> result;
  for (const auto& route : context.routes) result.push_back(route.probs.select(1, 0));
  return result;
}

std::shared_ptr<Decoder> calibrate_share(const Decoder& model, const torch::Tensor& tokens,
                                         double share) {
  const auto layers = static_cast<std::size_t>(
      std::count(model.config().layer_is_moe.begin(), model.config().layer_is_moe.end(), true));
  auto result = with_thresholds(model, std::vector<double>(layers, 0.5));
  for (int round = 0; round < kRounds; ++round) {
    const auto p = torch::cat(first_probabilities(*result, tokens));
    result = with_thresholds(model, std::vector<double>(layers, share_threshold(p, share)));
  }
  return result;
}

}  // namespace switchyard::models
