#include "cli/route_statistics.h"

namespace switchyard::cli {

RouteStatistics::RouteStatistics(const ModelConfig& config, std::size_t kept_tokens)
    : kept_tokens_(kept_tokens) {
  if (!config.moe) return;
  router_ = config.moe->router;
  for (int l = 0; l < config.layers; ++l) {
    if (config.layer_is_moe[static_cast<std::size_t>(l)])
      layers_.emplace(l, LayerRoutes(router_.experts));
  }
}

void RouteStatistics::add(const runtime::RouteRecord& record) {
  LayerRoutes& layer = layers_.at(record.layer);
  const routing::Decision& d = *record.decision;
  layer.load.add(d);
  if (!record.logits.empty()) layer.confidence.add(router_.score, record.logits, d.items());
  for (std::size_t n = 0; n < d.items() && layer.tokens.size() < kept_tokens_; ++n) {
    TokenRoute route;
    for (std::uint32_t a = d.offsets[n]; a < d.offsets[n + 1]; ++a) {
      route.experts.push_back(d.expert[a]);
      route.weights.push_back(d.weight[a]);
    }
    layer.tokens.push_back(std::move(route));
  }
}

}  // namespace switchyard::cli
