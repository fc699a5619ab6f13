#include "models/forward_context.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "switchyard/error.h"

#include "base/check.h"

namespace switchyard::models {
namespace {

torch::Tensor rows_of_layer(const torch::Tensor& routes, bool several, std::int64_t layer,
                            std::int64_t layers, std::int64_t batch, std::int64_t tokens,
                            const char* name) {
  const auto dims = routes.dim() - (several ? 1 : 0);
  const auto sizes = routes.sizes();
  const bool fits = (dims == 1 && sizes[0] == layers) ||
                    (dims == 2 && sizes[0] == layers && sizes[1] == tokens) ||
                    (dims == 3 && sizes[0] == batch && sizes[1] == layers && sizes[2] == tokens);
  if (!fits) {
    throw Error(
        {.what = fmt::format("forced {} of shape [{}]", name, fmt::join(sizes.vec(), ", ")),
         .where = "forward context",
         .expected = fmt::format("[{0}], [{0}, {1}] or [{2}, {0}, {1}]{3}", layers, tokens, batch,
                                 several ? ", each with a last dimension of choices" : "")});
  }
  // The layer's part is a scalar, [T] or [B, T], each perhaps with choices behind it.
  auto part = dims == 3 ? routes.select(1, layer) : routes.select(0, layer);
  if (!several) part = part.unsqueeze(-1);
  const auto choices = part.size(-1);
  return part.expand({batch, tokens, choices}).reshape({batch * tokens, choices});
}

}  // namespace

ForcedRoutes ForcedRoutes::layer(std::int64_t layer, std::int64_t layers, std::int64_t batch,
                                 std::int64_t tokens, std::int64_t router_experts) const {
  ForcedRoutes result{.several = true};
  result.experts =
      rows_of_layer(experts, several, layer, layers, batch, tokens, "experts").to(torch::kInt64);
  if (weights.defined()) {
    result.weights = rows_of_layer(weights, several, layer, layers, batch, tokens, "weights");
    if (result.weights.sizes() != result.experts.sizes()) {
      throw Error({.what = "forced weights and forced experts have different shapes",
                   .where = fmt::format("forward context, layer {}", layer)});
    }
  }
  const auto outside = (result.experts < -1).logical_or(result.experts >= router_experts);
  if (outside.any().item<bool>()) {
    const auto bad = result.experts.masked_select(outside)[0].item<std::int64_t>();
    throw Error({.what = fmt::format("forced expert {} does not exist", bad),
                 .where = fmt::format("forward context, layer {}", layer),
                 .expected = fmt::format("-1 (none) to {}", router_experts - 1)});
  }
  return result;
}

int ForwardContext::experts_per_token(int layer, int configured, int experts) const {
  int k = configured;
  for (const auto& override : overrides_) {
    if (!override.layer || *override.layer == layer) k = override.k;
  }
  if (k < 1 || k > experts) {
    throw Error({.what = fmt::format("{} experts per token", k),
                 .where = fmt::format("forward context, layer {}", layer),
                 .expected = fmt::format("1 to {}", experts)});
  }
  return k;
}

ForwardContext::KScope::KScope(ForwardContext& context, std::optional<int> layer, int k)
    : context_(context) {
  context_.overrides_.push_back({layer, k});
}

ForwardContext::KScope::~KScope() { context_.overrides_.pop_back(); }

torch::Tensor ForwardContext::total_loss() const {
  torch::Tensor sum;
  for (const auto& term : losses) {
    const auto part = term.value * term.coefficient;
    sum = sum.defined() ? sum + part : part;
  }
  return sum;
}

void ForwardContext::clear_reports() {
  routes.clear();
  losses.clear();
  notices.clear();
}

}  // namespace switchyard::models
