#include "cli/route_statistics.h"

#include <algorithm>
#include <utility>

namespace switchyard::cli {
namespace {

std::vector<std::string> names_of_experts(const MoeConfig& moe) {
  const std::vector<int>& widths = moe.expert_hidden;
  std::vector<std::string> names;
  for (int e = 0; e < moe.router.experts; ++e) {
    std::string name = std::to_string(e);
    if (!widths.empty()) {
      const int width = moe.ffn(e).hidden;
      name = widths.size() == 2 && widths[0] != widths[1]
                 ? (width == std::max(widths[0], widths[1]) ? "big" : "small")
                 : name + " (width " + std::to_string(width) + ")";
    }
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace

RouteStatistics::RouteStatistics(const ModelConfig& config, std::vector<TokenClass> classes,
                                 std::size_t kept_tokens)
    : classes_(std::move(classes)), kept_tokens_(kept_tokens) {
  if (!config.moe) return;
  router_ = config.moe->router;
  names_ = names_of_experts(*config.moe);
  has_nulls_ = router_.null_experts > 0 ||
               router_.probabilities.size() > static_cast<std::size_t>(router_.experts);
  for (int l = 0; l < config.layers; ++l) {
    if (config.layer_is_moe[static_cast<std::size_t>(l)])
      layers_.emplace(l, LayerRoutes(router_.experts));
  }
}

void RouteStatistics::add(const runtime::RouteRecord& record) {
  LayerRoutes& layer = layers_.at(record.layer);
  const routing::Decision& d = *record.decision;
  const auto first = static_cast<std::size_t>(layer.load.items());  // its place in the text
  layer.load.add(d);
  // As the router turns them into probabilities.
  std::vector<float> logits(record.logits.begin(), record.logits.end());
  for (float& logit : logits) logit *= router_.inverse_temperature;
  const std::size_t items = d.items();
  if (!logits.empty()) layer.confidence.add(router_.score, logits, items);
  for (std::size_t n = 0; n < items; ++n) {
    if (first + n < classes_.size()) {
      ClassLoad& of_class = layer.by_class[static_cast<std::size_t>(classes_[first + n])];
      ++of_class.items;
      of_class.assignments += d.offsets[n + 1] - d.offsets[n];
    }
    if (layer.tokens.size() >= kept_tokens_) continue;
    TokenRoute route;
    for (std::uint32_t a = d.offsets[n]; a < d.offsets[n + 1]; ++a) {
      route.experts.push_back(d.expert[a]);
      route.weights.push_back(d.weight[a]);
    }
    if (!logits.empty()) {
      const std::size_t width = logits.size() / items;
      routing::RouterConfidence one;
      one.add(router_.score, std::span(logits).subspan(n * width, width), 1);
      route.entropy = one.normalized_entropy();
    }
    layer.tokens.push_back(std::move(route));
  }
}

}  // namespace switchyard::cli
