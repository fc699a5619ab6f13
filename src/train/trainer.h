// A training run: from a recipe to a run directory (run_directory.h) with checkpoints, log, curves
// and the exported model.
//
//   auto recipe = load_recipe(fs, "recipes/demo-moe.toml", {"data.train=book.txt"});
//   auto result = run_training(fs, recipe, {.resume = true});
//
// A run is a pure function of (recipe, texts, device, threads): stopped at any point, by kill -9
// too, and resumed, it ends with the same bits as one that was never stopped.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include <torch/types.h>

#include "switchyard/file_system.h"

#include "train/recipe.h"
#include "train/run_result.h"

namespace switchyard::train {

struct StepReport {
  std::int64_t step = 0;  // done so far
  std::int64_t steps = 0;
  double loss = 0;  // of this step
  double tokens_per_second = 0;
  std::optional<double> valid_loss;  // of the last evaluation
};

struct RunOptions {
  torch::Device device = torch::kCPU;
  bool resume = false;   // go on from the last checkpoint; starts anew if there is none
  std::stop_token stop;  // on request: finish the step, write a checkpoint, return
  std::function<void(const std::string&)> say = [](const std::string&) {
  };  // what happens, for people
  std::function<void(const std::string&)> warn = [](const std::string&) {
  };  // what is wrong but does not stop the run
  std::function<void(const StepReport&)> on_step = [](const StepReport&) {};
};

// Throws Error for anything wrong with recipe, data, disk, or numbers that stop being finite.
RunResult run_training(FileSystem& fs, const Recipe& recipe, const RunOptions& options);

}  // namespace switchyard::train
