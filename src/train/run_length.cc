#include "train/run_length.h"

#include <algorithm>
#include <cmath>

namespace switchyard::train {
namespace {

// Of one training step; the backward pass costs twice the forward pass.
double estimated_flops_per_step(const Recipe& recipe, ModelConfig config) {
  if (config.moe && config.moe->router.kind == routing::Kind::top_p) {
    // Top-p starts near its most and gets sparse.
    routing::Config& router = config.moe->router;
    router.experts_per_token = std::max(1, routing::most_experts_per_item(router) / 2);
  }
  return 3.0 * static_cast<double>(config.flops_per_token(recipe.data.sequence)) *
         static_cast<double>(recipe.tokens_per_step());
}

}  // namespace

RunLength::RunLength(const Recipe& recipe, const ModelConfig& config)
    : flops_(recipe.train.flops), steps_(recipe.total_steps()) {
  if (flops_ <= 0) return;
  steps_ = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::ceil(flops_ / estimated_flops_per_step(recipe, config))));
}

std::int64_t RunLength::position(std::int64_t done, double flops) const {
  if (flops_ <= 0) return std::min(done, steps_);
  if (flops >= flops_) return steps_;
  const double share = flops / flops_;
  return std::min(steps_ - 1,
                  static_cast<std::int64_t>(std::floor(share * static_cast<double>(steps_))));
}

}  // namespace switchyard::train
