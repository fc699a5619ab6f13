// Runs an experiment: all arms with the first seed, then all with the second, and so on, so that an
// experiment that is stopped early still compares. A finished run is not repeated; one that was
// stopped goes on from its checkpoint.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <stop_token>
#include <string>
#include <vector>

#include <torch/types.h>

#include "switchyard/file_system.h"

#include "train/experiment.h"
#include "train/trainer.h"

namespace switchyard::train {

struct ExperimentOptions {
  std::string directory;               // of the runs, results.json, table.md and figures
  bool quick = false;                  // generated text, one seed, the experiment's [quick]
  std::size_t seeds = 0;               // only the first ones; 0: all (quick: one)
  std::string preset;                  // of the experiment, by name; empty: none
  std::vector<std::string> overrides;  // of every run
  torch::Device device = torch::kCPU;
  std::stop_token stop;
  std::function<void(const std::string&)> say = [](const std::string&) {};
  std::function<void(const std::string&)> warn = [](const std::string&) {};
  // `run` is the name of the run, `number` of `runs`.
  std::function<void(const std::string& run, std::size_t number, std::size_t runs,
                     const StepReport&)>
      on_step = [](const std::string&, std::size_t, std::size_t, const StepReport&) {};
};

// All arms with these seeds, and no more: for seeds on several machines, or in several processes
// that share a directory. Throws Cancelled if stopped, after a checkpoint.
void run_seeds(FileSystem& fs, const Experiment& experiment, const ExperimentOptions& options,
               const std::vector<std::uint64_t>& seeds);

// Runs what has not been run and judges: the content of results.json. Throws Cancelled if stopped,
// after a checkpoint.
nlohmann::json run_experiment(FileSystem& fs, const Experiment& experiment,
                              const ExperimentOptions& options);

}  // namespace switchyard::train
