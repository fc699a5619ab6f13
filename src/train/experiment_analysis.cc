#include "train/experiment_analysis.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "switchyard/error.h"

#include "train/oracle_analysis.h"

namespace switchyard::train {
namespace {

// A row an analysis: {name, what, function}.
const std::vector<Analysis> kAnalyses = {
    {"route-oracle", "oracles over forced routes, and routers against them", analyse_route_oracle},
};

}  // namespace

std::span<const Analysis> analyses() { return kAnalyses; }

const Analysis& analysis(const std::string& name) {
  std::vector<std::string_view> known;
  for (const Analysis& row : analyses()) {
    if (row.name == name) return row;
    known.push_back(row.name);
  }
  throw Error(
      {.what = fmt::format("there is no analysis '{}'", name),
       .where = "experiment: analysis",
       .expected = known.empty() ? "no analysis" : fmt::format("one of {}", fmt::join(known, ", ")),
       .fix = ""});
}

}  // namespace switchyard::train
