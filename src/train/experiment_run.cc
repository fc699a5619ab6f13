#include "train/experiment_run.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "switchyard/error.h"

#include "train/experiment_plot.h"
#include "train/experiment_report.h"
#include "train/generated_text.h"
#include "train/run_directory.h"

namespace switchyard::train {
namespace {

constexpr std::size_t kQuickTrainBytes = 200'000;
constexpr std::size_t kQuickTestBytes = 20'000;

std::string toml_string(const std::string& text) { return nlohmann::json(text).dump(); }

// Writes the texts of a quick run and returns the overrides that name them.
std::vector<std::string> quick_data(FileSystem& fs, const std::string& directory) {
  fs.create_directories(directory);
  std::vector<std::string> overrides;
  std::uint64_t seed = 1;
  for (const char* part : {"train", "valid", "test"}) {
    const std::string path = fmt::format("{}/{}.txt", directory, part);
    write_file_atomically(fs, path,
                          generate_text(seed == 1 ? kQuickTrainBytes : kQuickTestBytes, seed));
    overrides.push_back(fmt::format("data.{}={}", part, toml_string(path)));
    ++seed;
  }
  return overrides;
}

RunResult run_one(FileSystem& fs, const Recipe& recipe, std::size_t number, std::size_t runs,
                  const ExperimentOptions& options) {
  const RunDirectory directory = {recipe.output.directory};
  if (fs.exists(directory.result())) {
    const std::string text = read_file(fs, directory.result(), 1 << 20);
    const RunResult done =
        run_result_from_json(nlohmann::json::parse(text, nullptr, false), directory.result());
    options.say(fmt::format("{} ({}/{}): already done, validation loss {:.4f}", recipe.name, number,
                            runs, done.valid_loss));
    return done;
  }
  RunOptions run;
  run.device = options.device;
  run.resume = true;
  run.stop = options.stop;
  run.say = [&](const std::string& line) { options.say(fmt::format("{}: {}", recipe.name, line)); };
  run.warn = [&](const std::string& line) {
    options.warn(fmt::format("{}: {}", recipe.name, line));
  };
  run.on_step = [&](const StepReport& report) {
    options.on_step(recipe.name, number, runs, report);
  };
  RunResult result = run_training(fs, recipe, run);
  if (!result.finished) throw Cancelled();
  options.say(fmt::format("{} ({}/{}): validation loss {:.4f}", recipe.name, number, runs,
                          result.valid_loss));
  return result;
}

}  // namespace

nlohmann::json run_experiment(FileSystem& fs, const Experiment& experiment,
                              const ExperimentOptions& options) {
  fs.create_directories(options.directory);
  std::vector<std::string> extra;
  if (options.quick) {
    extra = quick_data(fs, options.directory + "/data");
    extra.insert(extra.end(), experiment.quick_set.begin(), experiment.quick_set.end());
  }
  extra.insert(extra.end(), options.overrides.begin(), options.overrides.end());
  extra.push_back("data.cache=" + toml_string(options.directory + "/cache"));

  std::size_t seeds = options.seeds > 0 ? options.seeds
                      : options.quick   ? 1
                                        : experiment.seeds.size();
  seeds = std::min(seeds, experiment.seeds.size());
  const std::size_t total = seeds * experiment.arms.size();
  std::vector<FinishedRun> runs;
  std::vector<std::string> logs;
  for (std::size_t s = 0; s < seeds; ++s) {
    for (const Arm& arm : experiment.arms) {
      const std::uint64_t seed = experiment.seeds[s];
      std::vector<std::string> own = extra;
      const std::string directory = fmt::format("{}/{}-seed{}", options.directory, arm.name, seed);
      own.push_back("output.directory=" + toml_string(directory));
      const Recipe recipe = arm_recipe(fs, experiment, arm, seed, own);
      const RunResult result = run_one(fs, recipe, runs.size() + 1, total, options);
      runs.push_back({.arm = arm.name, .seed = seed, .result = to_json(result)});
      logs.push_back(RunDirectory{directory}.log());
    }
  }
  const nlohmann::json results = results_json(experiment, runs, options.quick);
  write_file_atomically(fs, options.directory + "/results.json", results.dump(2) + "\n");
  write_file_atomically(fs, options.directory + "/table.md", results_markdown(results));
  write_file_atomically(fs, options.directory + "/plot.svg",
                        plot_experiment(fs, experiment, runs, logs));
  return results;
}

}  // namespace switchyard::train
