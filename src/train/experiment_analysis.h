// What an experiment does after its arms besides comparing results: measurements over several runs
// or with forced routes. One visible table; an experiment names its analysis with analysis =
// "NAME".
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include <torch/types.h>

#include "switchyard/file_system.h"

#include "train/experiment.h"
#include "train/experiment_report.h"

namespace switchyard::train {

struct AnalysisContext {
  FileSystem& fs;
  const Experiment& experiment;
  std::string directory;  // figures go here
  bool quick = false;
  torch::Device device = torch::kCPU;
  std::stop_token stop;
  std::function<void(const std::string&)> say = [](const std::string&) {};
};

struct Analysis {
  std::string_view name;
  std::string_view what;  // one line
  // Looks at the runs (FinishedRun::directory holds recipe.toml, log.jsonl and model/) and may add
  // numbers to their results, which claims can then name. What it returns stands under "analysis"
  // in results.json. Two members are shown, the rest is kept:
  //   "tables":  [{"title": text, "columns": [text, ...], "rows": [[text or number, ...], ...]}]
  //   "figures": [names of SVG files written to the directory]
  nlohmann::json (*run)(const AnalysisContext& context, std::vector<FinishedRun>& runs);
};

std::span<const Analysis> analyses();
// Throws Error naming those there are.
const Analysis& analysis(const std::string& name);

}  // namespace switchyard::train
