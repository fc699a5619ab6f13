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
  nlohmann::json result;  // its result.json, and what was measured on it besides
  std::string directory;  // of the run; not in results.json
};

enum class Verdict {
  reproduced,      // the whole interval lies where the claim says
  direction_only,  // the mean does, the interval does not
  not_reproduced,
};
std::string_view verdict_name(Verdict verdict);

struct ClaimResult {
  Claim claim;
  std::vector<double> baseline;  // by seed; empty for a claim about a value
  std::vector<double> method;
  Interval interval;  // of method - baseline, paired by seed, or of the method's value
  Verdict verdict = Verdict::not_reproduced;
};

// Only seeds that both arms have finished count. Throws Error if a run lacks the metric or there is
// none.
ClaimResult judge(const Claim& claim, const std::vector<FinishedRun>& runs);

nlohmann::json results_json(const Experiment& experiment, const std::vector<FinishedRun>& runs,
                            bool quick);

// The tables as markdown, made of results.json alone: claims with their verdicts, arms (means over
// seeds), the sweep of K and the analysis's own tables where there are any, runs.
std::string results_markdown(const nlohmann::json& results);

// Replaces what stands between "<!-- results -->" and "<!-- /results -->". Throws Error if `text`
// has no such place.
std::string with_results(const std::string& text, const std::string& table,
                         const std::string& where);

}  // namespace switchyard::train
