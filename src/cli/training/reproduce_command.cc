#include <CLI/CLI.hpp>
#include <cstdint>
#include <fmt/format.h>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <unistd.h>
#include <vector>

#include "switchyard/error.h"

#include "base/progress.h"
#include "cli/training/commands.h"
#include "cli/training/flags.h"
#include "train/experiment_report.h"
#include "train/experiment_run.h"

namespace switchyard::cli {
namespace {

std::string experiment_path(FileSystem& fs, const std::string& name) {
  if (name.ends_with(".toml")) return name;
  const std::string path = "papers/" + name + "/experiment.toml";
  if (fs.exists(path)) return path;
  throw Error({.what = fmt::format("there is no experiment '{}'", name),
               .where = path,
               .expected = "the name of a folder of papers/, or the path of an experiment.toml",
               .fix = "run it from the root of the source tree"});
}

// One bar a run, one after the other.
class ExperimentProgress {
 public:
  void step(const std::string& run, std::size_t number, std::size_t runs,
            const train::StepReport& report) {
    if (run != run_) {
      meter_.reset();
      run_ = run;
      meter_ = std::make_unique<ProgressMeter>(
          std::cerr, clock_,
          ProgressMeter::Options{.title = fmt::format("{} ({}/{})", run, number, runs),
                                 .total = static_cast<std::uint64_t>(report.steps),
                                 .start = static_cast<std::uint64_t>(report.step - 1),
                                 .unit = "steps",
                                 .terminal = is_terminal(STDERR_FILENO),
                                 .width = terminal_width(STDERR_FILENO)});
    }
    meter_->field("loss", fmt::format("{:.3f}", report.loss));
    if (report.valid_loss) meter_->field("valid", fmt::format("{:.3f}", *report.valid_loss));
    meter_->update(static_cast<std::uint64_t>(report.step));
    if (report.step == report.steps) meter_->finish();
  }
  void note(const std::string& line) {
    if (meter_) {
      meter_->note(line);
    } else {
      std::cerr << line << '\n';
    }
  }

 private:
  SteadyClock clock_;
  std::string run_;
  std::unique_ptr<ProgressMeter> meter_;
};

// Puts results, plot and table beside the experiment, for the repository.
void publish(FileSystem& fs, const std::string& experiment_file, const std::string& from,
             const nlohmann::json& results) {
  const std::string home = experiment_file.substr(0, experiment_file.find_last_of('/'));
  const std::string readme = home + "/README.md";
  const std::string text =
      train::with_results(read_file(fs, readme, 1 << 24), train::results_markdown(results), readme);
  write_file_atomically(fs, home + "/results.json", results.dump(2) + "\n");
  const auto copy_figures = [&](const nlohmann::json& part) {
    for (const nlohmann::json& name : part.value("figures", nlohmann::json::array())) {
      const std::string file = "/" + name.get<std::string>();
      write_file_atomically(fs, home + file, read_file(fs, from + file));
    }
  };
  copy_figures(results);
  if (results.contains("analysis")) copy_figures(results.at("analysis"));
  write_file_atomically(fs, readme, text);
}

// Writes the README's tables anew from the results that stand beside it.
void rewrite_tables(FileSystem& fs, const std::string& experiment_file) {
  const std::string home = experiment_file.substr(0, experiment_file.find_last_of('/'));
  const std::string readme = home + "/README.md";
  const nlohmann::json results =
      nlohmann::json::parse(read_file(fs, home + "/results.json", 1 << 24), nullptr, false);
  write_file_atomically(fs, readme,
                        train::with_results(read_file(fs, readme, 1 << 24),
                                            train::results_markdown(results), readme));
}

}  // namespace

int run_reproduce(const Arguments& arguments, const std::stop_token& stop) {
  CLI::App app(
      "Measures a published claim again: runs all arms and seeds of an experiment and judges it. A "
      "run that was "
      "stopped goes on where it was.",
      "switchyard reproduce");
  app.footer(
      "examples:\n"
      "  switchyard reproduce moe-vs-dense --quick\n"
      "  SWITCHYARD_DATA=/data switchyard reproduce moe-vs-dense\n"
      "  switchyard reproduce papers/moe-vs-dense/experiment.toml --seeds 1 --out runs/first-look\n"
      "  switchyard reproduce rmoe --only-seeds 1 --threads 1 &    # two processes of one thread "
      "are\n"
      "  switchyard reproduce rmoe --only-seeds 2,3 --threads 1    # faster than one of two\n"
      "  switchyard reproduce rmoe                                 # then judge");
  std::string name;
  train::ExperimentOptions options;
  std::string device = "cpu";
  int threads = -1;
  std::vector<std::uint64_t> only_seeds;
  bool update = false;
  bool tables = false;
  app.add_option("EXPERIMENT", name, "the name of a folder of papers/, or an experiment.toml")
      ->required();
  app.add_flag("--quick", options.quick,
               "one seed, short runs, generated text: at most about a minute");
  app.add_option("--seeds", options.seeds, "only the first N seeds")->check(CLI::Range(1, 1000));
  app.add_option("--only-seeds", only_seeds,
                 "train these seeds of the experiment and judge nothing; several such commands may "
                 "share --out, and one without the option judges what they made")
      ->delimiter(',')
      ->excludes("--seeds");
  app.add_option("--out", options.directory,
                 "directory of the runs (default: runs/reproduce-NAME)");
  app.add_option("--set", options.overrides, "section.key=value for every run; may be repeated")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--device", device, "cpu or cuda")->check(CLI::IsMember({"cpu", "cuda"}));
  app.add_option("--threads", threads, "threads, 0: one a core")->check(CLI::Range(0, 4096));
  app.add_flag("--update-readme", update,
               "also write results.json, figures and the README's tables beside the experiment");
  app.add_flag("--rewrite-tables", tables,
               "run nothing: write the README's tables anew from the results.json beside it");
  app.add_option("--preset", options.preset,
                 "a configuration of the experiment other than its own, for example gpu")
      ->excludes("--quick");
  if (!parse_flags(app, arguments)) return kDone;

  FileSystem& fs = real_file_system();
  const std::string path = experiment_path(fs, name);
  const train::Experiment experiment = train::load_experiment(fs, path);
  if (tables) {
    rewrite_tables(fs, path);
    return kDone;
  }
  if (update && !only_seeds.empty()) {
    throw Error({.what = "some seeds alone are no result",
                 .where = "--update-readme",
                 .expected = "a run without --only-seeds",
                 .fix = "give it to the command that judges"});
  }
  if (update && options.quick) {
    throw Error({.what = "a quick run says nothing about the claim and cannot be published",
                 .where = "--update-readme",
                 .expected = "a run without --quick",
                 .fix = ""});
  }
  if (update && !options.preset.empty()) {
    throw Error({.what = "the README shows the experiment's own configuration, not a preset's",
                 .where = "--update-readme",
                 .expected = "a run without --preset",
                 .fix = "take the tables from table.md of the run"});
  }
  if (options.directory.empty()) {
    options.directory =
        fmt::format("runs/reproduce-{}{}{}", experiment.name, options.quick ? "-quick" : "",
                    options.preset.empty() ? "" : "-" + options.preset);
  }
  if (threads >= 0) options.overrides.push_back(fmt::format("train.threads={}", threads));
  options.device = parse_device(device);
  options.stop = stop;
  ExperimentProgress progress;
  options.say = [&](const std::string& line) { progress.note(line); };
  options.warn = [&](const std::string& line) { progress.note("warning: " + line); };
  options.on_step = [&](const std::string& run, std::size_t number, std::size_t runs,
                        const train::StepReport& report) {
    progress.step(run, number, runs, report);
  };
  try {
    if (!only_seeds.empty()) {
      train::run_seeds(fs, experiment, options, only_seeds);
      progress.note("these seeds are done; the same command without --only-seeds judges");
      return kDone;
    }
    const nlohmann::json results = train::run_experiment(fs, experiment, options);
    fmt::print("{}", train::results_markdown(results));
    if (options.quick)
      fmt::print(
          "\nA quick run on generated text: it shows that the machinery works, not the claim.\n");
    fmt::print("\nresults: {0}/results.json\nfigures: {0}/*.svg\n", options.directory);
    if (update) publish(fs, path, options.directory, results);
  } catch (const Cancelled&) {
    progress.note("stopped; a checkpoint is written, give the same command to go on");
    return kStopped;
  }
  return kDone;
}

}  // namespace switchyard::cli
