#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <iostream>
#include <memory>
#include <unistd.h>

#include <torch/cuda.h>

#include "switchyard/error.h"

#include "base/progress.h"
#include "cli/training/commands.h"
#include "cli/training/flags.h"
#include "train/run_directory.h"

namespace switchyard::cli {
namespace {

// The progress bar of a run; made with the first step, when the start of a resumed run is known.
class TrainProgress {
 public:
  explicit TrainProgress(const std::string& title) : title_(title) {}

  void step(const train::StepReport& report) {
    if (!meter_) {
      meter_ = std::make_unique<ProgressMeter>(
          std::cerr, clock_,
          ProgressMeter::Options{.title = title_,
                                 .total = static_cast<std::uint64_t>(report.steps),
                                 .start = static_cast<std::uint64_t>(report.step - 1),
                                 .unit = "steps",
                                 .terminal = is_terminal(STDERR_FILENO),
                                 .width = terminal_width(STDERR_FILENO)});
    }
    meter_->field("loss", fmt::format("{:.3f}", report.loss));
    if (report.valid_loss) meter_->field("valid", fmt::format("{:.3f}", *report.valid_loss));
    meter_->field("tok/s", fmt::format("{:.0f}", report.tokens_per_second));
    meter_->update(static_cast<std::uint64_t>(report.step));
  }
  void note(const std::string& line) {
    if (meter_) {
      meter_->note(line);
    } else {
      std::cerr << line << '\n';
    }
  }
  void finish() {
    if (meter_) meter_->finish();
  }

 private:
  std::string title_;
  SteadyClock clock_;
  std::unique_ptr<ProgressMeter> meter_;
};

void print_result(const train::RunResult& result, const train::RunDirectory& directory) {
  fmt::print("trained {} steps in {:.1f} s ({:.0f} tokens/s)\n", result.step, result.seconds,
             result.tokens_per_second);
  fmt::print(
      "validation: loss {:.4f}, perplexity {:.2f} a token, {:.3f} bits a byte (best at step {})\n",
      result.valid_loss, result.valid_perplexity, result.valid_bits_per_byte, result.best_step);
  if (result.test_loss) {
    fmt::print("test: loss {:.4f}, perplexity {:.2f} a token, {:.2f} a word, {:.3f} bits a byte\n",
               *result.test_loss, *result.test_perplexity, *result.test_word_perplexity,
               *result.test_bits_per_byte);
  }
  fmt::print("model: {}\ncurves: {}\nlog: {}\n", directory.model(), directory.curves(),
             directory.log());
}

}  // namespace

torch::Device parse_device(const std::string& name) {
  if (name == "cpu") return torch::kCPU;
  if (torch::cuda::is_available()) return torch::kCUDA;
  throw Error({.what = "this libtorch sees no CUDA device",
               .where = "--device cuda",
               .expected = "a GPU and a libtorch built for it",
               .fix = "use --device cpu"});
}

int run_train(const Arguments& arguments, const std::stop_token& stop) {
  CLI::App app(
      "Trains a model from a recipe: log, curves, checkpoints and the model go to its run "
      "directory.",
      "switchyard train");
  app.footer(
      "examples:\n"
      "  switchyard train recipes/demo-moe.toml --set data.train=book.txt\n"
      "  switchyard train recipes/demo-moe.toml --set data.train=book.txt --resume\n"
      "  switchyard train recipes/demo-moe.toml --from runs/demo-moe/model --set "
      "model.family=switchyard --set model.qk_norm=full "
      "--set router.null_experts=8 --set router.experts_per_token=3 --set data.train=book.txt "
      "--out "
      "runs/null\n"
      "  switchyard train recipes/wikitext2-moe.toml --set train.seed=2 --out runs/seed2 --threads "
      "2");
  std::string recipe_path;
  std::vector<std::string> overrides;
  std::string device = "cpu";
  std::string out;
  std::string from;
  bool resume = false;
  int threads = -1;
  app.add_option("RECIPE", recipe_path, "the recipe (docs/formats/recipe.md)")->required();
  app.add_option("--set", overrides, "section.key=value: overrides the recipe; may be repeated")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--device", device, "cpu or cuda")->check(CLI::IsMember({"cpu", "cuda"}));
  app.add_option("--from", from,
                 "start from the weights of this model directory instead of random ones");
  app.add_flag("--resume", resume, "go on from the last checkpoint in the run directory");
  app.add_option("--out", out,
                 "run directory (default: output.directory of the recipe, or runs/NAME)");
  app.add_option("--threads", threads, "threads, 0: one a core")->check(CLI::Range(0, 4096));
  if (!parse_flags(app, arguments)) return kDone;

  if (!from.empty()) overrides.push_back("train.from=" + toml_string(from));
  if (!out.empty()) overrides.push_back("output.directory=" + toml_string(out));
  if (threads >= 0) overrides.push_back(fmt::format("train.threads={}", threads));
  FileSystem& fs = real_file_system();
  const train::Recipe recipe = train::load_recipe(fs, recipe_path, overrides);
  const train::RunDirectory directory = {recipe.output.directory};

  TrainProgress progress(recipe.name);
  train::RunOptions options;
  options.device = parse_device(device);
  options.resume = resume;
  options.stop = stop;
  options.say = [&](const std::string& line) { progress.note(line); };
  options.warn = [&](const std::string& line) { progress.note("warning: " + line); };
  options.on_step = [&](const train::StepReport& report) { progress.step(report); };
  const train::RunResult result = train::run_training(fs, recipe, options);
  if (!result.finished) {
    progress.note(fmt::format("stopped after step {}; a checkpoint is in {}", result.step,
                              directory.checkpoints()));
    progress.note("to go on, give the same command with --resume");
    return kStopped;
  }
  progress.finish();
  print_result(result, directory);
  return kDone;
}

}  // namespace switchyard::cli
