#include "train/experiment_run.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "switchyard/error.h"

#include "train/experiment_analysis.h"
#include "train/experiment_plot.h"
#include "train/experiment_report.h"
#include "train/generated_text.h"
#include "train/run_directory.h"
#include "train/run_measures.h"

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

// The content of result.json.
nlohmann::json train_one(FileSystem& fs, const Recipe& recipe, std::size_t number, std::size_t runs,
                         const ExperimentOptions& options) {
  const RunDirectory directory = {recipe.output.directory};
  if (fs.exists(directory.result())) {
    const std::string text = read_file(fs, directory.result(), 1 << 20);
    const RunResult done =
        run_result_from_json(nlohmann::json::parse(text, nullptr, false), directory.result());
    options.say(fmt::format("{} ({}/{}): already done, validation loss {:.4f}", recipe.name, number,
                            runs, done.valid_loss));
    return to_json(done);
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
  const RunResult result = run_training(fs, recipe, run);
  if (!result.finished) throw Cancelled();
  options.say(fmt::format("{} ({}/{}): validation loss {:.4f}", recipe.name, number, runs,
                          result.valid_loss));
  return to_json(result);
}

// Trains if need be, then measures what the experiment asks for.
FinishedRun run_one(FileSystem& fs, const Experiment& experiment, const Arm& arm,
                    const Recipe& recipe, std::size_t number, std::size_t runs,
                    const ExperimentOptions& options) {
  FinishedRun out = {.arm = arm.name,
                     .seed = recipe.train.seed,
                     .result = train_one(fs, recipe, number, runs, options),
                     .directory = recipe.output.directory};
  MeasureOptions measure;
  measure.sweep_experts_per_token = arm.sweep_experts_per_token;
  measure.measure = experiment.measure;
  measure.quick = options.quick;
  measure.device = options.device;
  measure.stop = options.stop;
  measure.say = [&](const std::string& line) {
    options.say(fmt::format("{}: {}", recipe.name, line));
  };
  out.result.update(measure_run(fs, recipe, measure));
  return out;
}

nlohmann::json analyse(FileSystem& fs, const Experiment& experiment,
                       const ExperimentOptions& options, std::vector<FinishedRun>& runs) {
  AnalysisContext context = {.fs = fs,
                             .experiment = experiment,
                             .directory = options.directory,
                             .quick = options.quick,
                             .device = options.device,
                             .stop = options.stop,
                             .say = options.say};
  nlohmann::json out = analysis(experiment.analysis).run(context, runs);
  out["name"] = experiment.analysis;
  return out;
}

// How a kind of run changes the recipe of an arm.
std::vector<std::string> overrides_of(const Experiment& experiment, const Arm& arm,
                                      const ExperimentOptions& options,
                                      const std::vector<std::string>& data) {
  std::vector<std::string> out = data;
  const auto add = [&](const std::vector<std::string>& more) {
    out.insert(out.end(), more.begin(), more.end());
  };
  if (options.quick) add(experiment.quick.of(arm.name));
  if (!options.preset.empty()) add(experiment.preset(options.preset).of(arm.name));
  add(options.overrides);
  out.push_back("data.cache=" + toml_string(options.directory + "/cache"));
  return out;
}

// Mistakes that should show before the first run.
void check_options(const Experiment& experiment, const ExperimentOptions& options) {
  if (!experiment.analysis.empty()) analysis(experiment.analysis);
  if (!options.preset.empty()) experiment.preset(options.preset);
}

std::vector<FinishedRun> run_all(FileSystem& fs, const Experiment& experiment,
                                 const ExperimentOptions& options,
                                 const std::vector<std::uint64_t>& seeds) {
  fs.create_directories(options.directory);
  std::vector<std::string> data;
  if (options.quick) data = quick_data(fs, options.directory + "/data");
  const std::size_t total = seeds.size() * experiment.arms.size();
  const auto directory = [&](const std::string& arm, std::uint64_t seed) {
    return fmt::format("{}/{}-seed{}", options.directory, arm, seed);
  };
  std::vector<FinishedRun> runs;
  for (const std::uint64_t seed : seeds) {
    for (const Arm& arm : experiment.arms) {
      std::vector<std::string> extra = overrides_of(experiment, arm, options, data);
      extra.push_back("output.directory=" + toml_string(directory(arm.name, seed)));
      if (!arm.from.empty()) {
        const RunDirectory from = {directory(arm.from, seed)};
        extra.push_back("train.from=" + toml_string(from.model()));
      }
      const Recipe recipe = arm_recipe(fs, experiment, arm, seed, extra);
      runs.push_back(run_one(fs, experiment, arm, recipe, runs.size() + 1, total, options));
    }
  }
  return runs;
}

}  // namespace

void run_seeds(FileSystem& fs, const Experiment& experiment, const ExperimentOptions& options,
               const std::vector<std::uint64_t>& seeds) {
  for (const std::uint64_t seed : seeds) {
    if (std::ranges::find(experiment.seeds, seed) != experiment.seeds.end()) continue;
    throw Error({.what = fmt::format("{} is no seed of the experiment", seed),
                 .where = "--only-seeds",
                 .expected = fmt::format("some of {}", fmt::join(experiment.seeds, ", ")),
                 .fix = ""});
  }
  check_options(experiment, options);
  run_all(fs, experiment, options, seeds);
}

nlohmann::json run_experiment(FileSystem& fs, const Experiment& experiment,
                              const ExperimentOptions& options) {
  check_options(experiment, options);
  std::vector<std::uint64_t> seeds = experiment.seeds;
  if (const std::size_t most = options.seeds > 0 ? options.seeds
                               : options.quick   ? 1
                                                 : seeds.size();
      most < seeds.size())
    seeds.resize(most);
  std::vector<FinishedRun> runs = run_all(fs, experiment, options, seeds);
  nlohmann::json extra = nlohmann::json::object();
  if (!experiment.analysis.empty()) extra["analysis"] = analyse(fs, experiment, options, runs);
  if (!options.preset.empty()) extra["preset"] = options.preset;
  nlohmann::json& figures = extra["figures"] = nlohmann::json::array();
  for (const Figure& figure : plot_experiment(fs, experiment, runs)) {
    write_file_atomically(fs, options.directory + "/" + figure.name, figure.svg);
    figures.push_back(figure.name);
  }
  nlohmann::json results = results_json(experiment, runs, options.quick);
  results.update(extra);
  write_file_atomically(fs, options.directory + "/results.json", results.dump(2) + "\n");
  write_file_atomically(fs, options.directory + "/table.md", results_markdown(results));
  return results;
}

}  // namespace switchyard::train
