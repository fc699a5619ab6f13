// What the analysis "route-oracle" shows: one table of curves over the budget, and two figures.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "train/oracle/route_study.h"
#include "train/oracle/router_eval.h"

namespace switchyard::train {

// A router, as it is and with a threshold at which its hard choices keep the budget.
struct RouterResult {
  int budget = 0;  // big layers
  oracle::RouterEvaluation plain;
  double calibrated = 0, calibrated_share = 0;
};

// What one seed came to.
struct SeedResult {
  double per_byte = 1;  // bits per byte of a nat per token
  oracle::RouteStudy study;
  std::vector<RouterResult> routers;
};

// All of these take the mean over seeds, which are not empty.
// One row a curve, one column a budget; as an analysis returns tables.
nlohmann::json curves_table(const std::vector<SeedResult>& seeds);
// SVG: loss over the budget, of oracles, their controls, fixed routes and routers.
std::string curves_plot(const std::vector<SeedResult>& seeds);
// SVG: share of the big expert, one row a budget (first the oracle's, then the routers'), one
// column a layer.
std::string usage_plot(const std::vector<SeedResult>& seeds);

}  // namespace switchyard::train
