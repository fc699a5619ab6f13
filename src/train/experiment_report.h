// What the runs of an experiment say about its claims: numbers, verdicts, results.json, the table
// of the README.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "train/experiment.h"
#include "train/statistics.h"

namespace switchyard::train {

struct FinishedRun {
  std::string arm;
  std::uint64_t seed = 0;
  nlohmann::json result;  // its result.json
};

enum class Verdict {
  reproduced,      // the interval of the difference lies on the claimed side of zero
  direction_only,  // the mean does, the interval does not
  not_reproduced,
};
std::string_view verdict_name(Verdict verdict);

struct ClaimResult {
  Claim claim;
  double baseline_mean = 0, baseline_deviation = 0;
  double method_mean = 0, method_deviation = 0;
  Interval difference;  // method - baseline, paired by seed
  std::size_t seeds = 0;
  Verdict verdict = Verdict::not_reproduced;
};

// Only seeds that both arms have finished count. Throws Error if a run lacks the metric or there is
// none.
ClaimResult judge(const Claim& claim, const std::vector<FinishedRun>& runs);

nlohmann::json results_json(const Experiment& experiment, const std::vector<FinishedRun>& runs,
                            bool quick);

// The table as markdown, made of results.json alone:
// claim | baseline | method | difference with 95 % interval | verdict, and one row an arm below it.
std::string results_markdown(const nlohmann::json& results);

// Replaces what stands between "<!-- results -->" and "<!-- /results -->". Throws Error if `text`
// has no such place.
std::string with_results(const std::string& text, const std::string& table,
                         const std::string& where);

}  // namespace switchyard::train
