// Where the tokens of a text went: gathered from a model's route records, layer by layer.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "switchyard/model_config.h"
#include "switchyard/runtime.h"

#include "routing/statistics.h"

namespace switchyard::cli {

struct TokenRoute {
  std::vector<std::int32_t> experts;  // best first
  std::vector<float> weights;
};

struct LayerRoutes {
  explicit LayerRoutes(int experts) : load(experts) {}
  routing::ExpertLoad load;
  routing::RouterConfidence confidence;
  std::vector<TokenRoute> tokens;  // the first tokens of the text, as many as were asked for
};

class RouteStatistics {
 public:
  // `kept_tokens`: of how many tokens each route is remembered.
  RouteStatistics(const ModelConfig& config, std::size_t kept_tokens);

  void add(const runtime::RouteRecord& record);
  const std::map<int, LayerRoutes>& layers() const { return layers_; }

 private:
  routing::Config router_;
  std::size_t kept_tokens_;
  std::map<int, LayerRoutes> layers_;
};

}  // namespace switchyard::cli
