// Where the tokens of a text went: gathered from a model's route records, layer by layer.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "switchyard/model_config.h"
#include "switchyard/runtime.h"

#include "cli/token_class.h"
#include "routing/statistics.h"

namespace switchyard::cli {

struct TokenRoute {
  std::vector<std::int32_t> experts;  // best first
  std::vector<float> weights;
  double entropy = 0;  // of the router's probabilities, of the largest possible; 0 without logits
};

// Experts per item of one class of tokens.
struct ClassLoad {
  std::uint64_t items = 0;
  std::uint64_t assignments = 0;
  double experts_per_item() const {
    return items == 0 ? 0.0 : static_cast<double>(assignments) / static_cast<double>(items);
  }
};

struct LayerRoutes {
  explicit LayerRoutes(int experts) : load(experts) {}
  routing::ExpertLoad load;
  routing::RouterConfidence confidence;
  std::array<ClassLoad, kTokenClasses> by_class;
  std::vector<TokenRoute> tokens;  // the first tokens of the text, as many as were asked for
};

class RouteStatistics {
 public:
  // `classes`: of every token of the text. `kept_tokens`: of how many each route is remembered.
  RouteStatistics(const ModelConfig& config, std::vector<TokenClass> classes,
                  std::size_t kept_tokens);

  // Records of a layer come in the order of the text.
  void add(const runtime::RouteRecord& record);
  const std::map<int, LayerRoutes>& layers() const { return layers_; }

  // What experts are called: their number, or, where they differ in width, big and small.
  const std::vector<std::string>& expert_names() const { return names_; }
  // Whether items can go to null experts or skip on purpose.
  bool has_nulls() const { return has_nulls_; }

 private:
  routing::Config router_;
  std::vector<TokenClass> classes_;
  std::size_t kept_tokens_;
  std::vector<std::string> names_;
  bool has_nulls_ = false;
  std::map<int, LayerRoutes> layers_;
};

}  // namespace switchyard::cli
