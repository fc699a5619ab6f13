#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <xxhash.h>

#include <torch/types.h>
#include <torch/utils.h>

#include "switchyard/error.h"

#include "base/check.h"
#include "base/utc_time.h"
#include "models/adapt_weights.h"
#include "models/checkpoint_io.h"
#include "train/checkpoint.h"
#include "train/corpus.h"
#include "train/curves.h"
#include "train/evaluate.h"
#include "train/flops.h"
#include "train/provenance.h"
#include "train/run_directory.h"
#include "train/run_files.h"
#include "train/run_length.h"
#include "train/run_log.h"
#include "train/schedule.h"
#include "train/statistics.h"
#include "train/torch_threads.h"
#include "train/training_step.h"
#include "train/window_sampler.h"

namespace switchyard::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::string hash_of(const std::vector<NamedTensor>& tensors) {
  std::uint64_t hash = 0;
  for (const NamedTensor& tensor : tensors) {
    const torch::Tensor cpu = tensor.value.detach().to(torch::kCPU).contiguous();
    hash = XXH3_64bits_withSeed(cpu.data_ptr(), cpu.nbytes(), hash);
  }
  return fmt::format("{:016x}", hash);
}

// A model can only go on with the tokenizer it was trained with.
Recipe with_source_tokenizer(Recipe recipe) {
  if (!recipe.train.from.empty() && recipe.data.tokenizer.empty()) {
    recipe.data.tokenizer = recipe.train.from + "/tokenizer.json";
  }
  return recipe;
}

void check_source_vocabulary(FileSystem& fs, const Recipe& recipe, int vocab) {
  if (recipe.train.from.empty()) return;
  const int source = read_model_config(fs, recipe.train.from).vocab;
  if (source == vocab) return;
  throw Error({.what = fmt::format("the tokenizer has {} tokens, the model to start from {}", vocab,
                                   source),
               .where = "[data] tokenizer",
               .expected = "the tokenizer of " + recipe.train.from,
               .fix = "leave data.tokenizer away"});
}

// With c = m / E copies of every expert's row, an item starts with the best ceil(K / (c + 1)).
std::string describe_null_experts(const routing::Config& router, const TrainRecipe& train) {
  const int outputs = router.experts + router.null_experts;
  std::string line = fmt::format(
      "{} experts and {} null experts, {} choices an item: the balance loss aims at {:.3f} experts",
      router.experts, router.null_experts, router.experts_per_token,
      static_cast<double>(router.experts_per_token) * router.experts / outputs);
  if (!train.from.empty() && train.null_init == NullInit::copy &&
      router.null_experts % router.experts == 0) {
    const int group = router.null_experts / router.experts + 1;
    line +=
        fmt::format("; copied rows start with {}", (router.experts_per_token + group - 1) / group);
  }
  return line;
}

// One run in one directory. Everything a checkpoint holds is in state_, model_ and nothing else.
class Run {
 public:
  Run(FileSystem& fs, const Recipe& recipe, const RunOptions& options)
      : fs_(fs),
        recipe_(recipe),
        options_(options),
        directory_{recipe.output.directory},
        corpus_(load_corpus(fs, recipe.data, directory_.cache(), options.say)),
        config_(model_config(recipe, corpus_.vocab(), corpus_.end_of_text)),
        length_(recipe, config_),
        model_(config_, recipe.train, recipe.model.dropout, options.device),
        sampler_(corpus_.train.size(), recipe.data.sequence, recipe.train.seed) {}

  RunResult operator()();

 private:
  void start();
  void start_from_source();
  void restore(std::int64_t step);
  void train_one_step();
  std::int64_t position() const { return length_.position(state_.step, state_.flops); }
  bool over() const { return length_.over(state_.step, state_.flops); }
  bool due(int every) const { return every > 0 && state_.step % every == 0; }
  void check_routers();
  double training_flops(const RoutingTotals& routers) const;
  void log_step(const StepOutcome& outcome, const StepPlan& plan, double flops, double seconds);
  Evaluation evaluate_on(const TokenFile& text, int windows, RoutingTotals* routing = nullptr);
  void evaluate_now();
  void save_best();
  void checkpoint();
  void prune();
  RunResult finish();
  double median_milliseconds() const;
  std::vector<torch::Tensor> next_batches();

  FileSystem& fs_;
  const Recipe& recipe_;
  const RunOptions& options_;
  RunDirectory directory_;
  Corpus corpus_;
  ModelConfig config_;
  RunLength length_;
  TrainableModel model_;
  WindowSampler sampler_;
  std::unique_ptr<RunLog> log_;
  TrainState state_;
  double peak_gflops_ = 0;
  std::int64_t checkpointed_step_ = 0;
  bool routers_checked_ = false;
  bool stopped_early_ = false;
};

RunResult Run::operator()() {
  start();
  while (!over() && !stopped_early_) {
    if (options_.stop.stop_requested()) {
      if (state_.step > checkpointed_step_) checkpoint();
      RunResult result;
      result.step = state_.step;
      result.train_loss = state_.last_loss;
      return result;
    }
    train_one_step();
  }
  return finish();
}

void Run::start() {
  const std::vector<std::int64_t> steps = list_steps(fs_, directory_.checkpoints());
  if (!options_.resume && !steps.empty()) {
    throw Error({.what = fmt::format("the directory already holds a run at step {}", steps.back()),
                 .where = directory_.root,
                 .expected = "an empty directory, or --resume",
                 .fix = "add --resume to go on, or give another directory with --out"});
  }
  remove_unfinished(fs_, directory_.checkpoints());
  remove_unfinished(fs_, directory_.best());
  if (recipe_.router) models::require_trainable(*recipe_.router, recipe_.name + ": [router]");
  if (steps.empty()) {
    start_from_source();
    write_file_atomically(fs_, directory_.recipe(), to_toml(recipe_));
  } else {
    check_same_recipe(fs_, directory_.recipe(), recipe_);
    restore(steps.back());
    options_.say(fmt::format("going on from step {}", state_.step));
  }
  log_ = std::make_unique<RunLog>(fs_, directory_.log(), steps.empty() ? -1 : state_.step);
  peak_gflops_ = options_.device.is_cpu() ? measure_gemm_gflops() : 0.0;
  if (steps.empty()) {
    log_->write({{"event", "start"},
                 {"step", 0},
                 {"name", recipe_.name},
                 {"parameters", config_.parameters()},
                 {"active_parameters", config_.active_parameters()},
                 {"train_tokens", corpus_.train.size()},
                 {"valid_tokens", corpus_.valid.size()},
                 {"steps", length_.steps()},
                 {"gemm_gflops", peak_gflops_}});
  }
  if (recipe_.router && recipe_.router->null_experts > 0) {
    options_.say(describe_null_experts(*recipe_.router, recipe_.train));
  }
  options_.say(fmt::format(
      "{} weights, {} active for a token; {} training tokens, {}{} steps of {} tokens "
      "({:.1f} epochs)",
      config_.parameters(), config_.active_parameters(), corpus_.train.size(),
      recipe_.train.flops > 0 ? "about " : "", length_.steps(), recipe_.tokens_per_step(),
      static_cast<double>(length_.steps() * recipe_.tokens_per_step()) /
          static_cast<double>(corpus_.train.size())));
}

// A run that goes on has its weights from the checkpoint.
void Run::start_from_source() {
  if (recipe_.train.from.empty()) return;
  const models::AdaptOptions adapt = {.copy_null_rows = recipe_.train.null_init == NullInit::copy};
  check_source_vocabulary(fs_, recipe_, corpus_.vocab());
  options_.say("starting from " + recipe_.train.from);
  for (const std::string& line :
       models::adapt_weights(fs_, recipe_.train.from, model_.master(), adapt)) {
    options_.say(line);
  }
}

void Run::restore(std::int64_t step) {
  const std::string from = directory_.checkpoints() + "/" + step_name(step);
  state_ = load_state(fs_, from);
  if (state_.data_key != corpus_.train.key()) {
    throw Error({.what = "the training text or the tokenizer is not the one this run began with",
                 .where = from,
                 .expected = "unchanged data for --resume",
                 .fix = "put the old text back, or start anew in another directory with --out"});
  }
  load_tensors(fs_, from + "/model.safetensors", model_.weights());
  load_tensors(fs_, from + "/optimizer.safetensors", model_.optimizer().state());
  model_.optimizer().set_steps(state_.step);
  checkpointed_step_ = state_.step;
  stopped_early_ =
      recipe_.train.patience > 0 && state_.evaluations_since_best >= recipe_.train.patience;
}

std::vector<torch::Tensor> Run::next_batches() {
  const std::int64_t rows = recipe_.train.batch;
  const std::int64_t columns = recipe_.data.sequence + 1;
  std::vector<torch::Tensor> batches;
  for (int pass = 0; pass < recipe_.train.accumulation; ++pass) {
    torch::Tensor ids = torch::empty({rows, columns}, torch::kInt64);
    for (std::int64_t row = 0; row < rows; ++row) {
      corpus_.train.read(sampler_.begin(state_.windows++),
                         std::span(ids.data_ptr<std::int64_t>() + row * columns,
                                   static_cast<std::size_t>(columns)));
    }
    batches.push_back(std::move(ids));
  }
  return batches;
}

void Run::train_one_step() {
  const auto begin = Clock::now();
  const bool log_this = (state_.step + 1) % recipe_.train.log_every == 0 || state_.step == 0;
  const StepPlan plan = {.step = state_.step,
                         .lr = learning_rate(recipe_.train.schedule, recipe_.train.optimizer.lr,
                                             position(), length_.steps()),
                         .router = values_at(recipe_.schedules, position(), length_.steps())};
  const StepOutcome outcome = model_.step(next_batches(), plan);
  ++state_.step;
  const double step_flops = training_flops(model_.routers());
  state_.flops += step_flops;
  state_.experts_per_token_sum += model_.routers().summary().experts_per_token;
  state_.last_loss = outcome.loss;
  state_.loss_sum += outcome.loss;
  ++state_.loss_count;
  const double seconds = seconds_since(begin);
  state_.seconds += seconds;
  if (!routers_checked_) check_routers();
  if (log_this) log_step(outcome, plan, step_flops, seconds);
  options_.on_step(
      {.step = std::max<std::int64_t>(1, position()),
       .steps = length_.steps(),
       .loss = outcome.loss,
       .tokens_per_second = static_cast<double>(recipe_.tokens_per_step()) / seconds,
       .valid_loss = state_.best_step > 0 ? std::optional(state_.last_valid_loss) : std::nullopt});
  const bool last = over();
  if (due(recipe_.train.eval_every) || last) evaluate_now();
  if (due(recipe_.train.checkpoint_every) || last || stopped_early_) checkpoint();
}

// Once a session: what cannot learn now will not learn later either.
void Run::check_routers() {
  routers_checked_ = true;
  for (const std::string& line : model_.router_warnings()) {
    options_.warn(line);
    log_->write({{"event", "warning"}, {"step", state_.step}, {"what", line}});
  }
}

// Forward and backward pass of one step; the backward pass costs twice the forward pass.
double Run::training_flops(const RoutingTotals& routers) const {
  return 3.0 * measured_flops_per_token(config_, routers, recipe_.data.sequence) *
         static_cast<double>(recipe_.tokens_per_step());
}

void Run::log_step(const StepOutcome& outcome, const StepPlan& plan, double flops, double seconds) {
  const auto tokens = static_cast<double>(recipe_.tokens_per_step());
  const double gflops = flops / seconds * 1e-9;
  nlohmann::json line = {{"event", "step"},
                         {"step", state_.step},
                         {"tokens", state_.step * recipe_.tokens_per_step()},
                         {"loss", outcome.loss},
                         {"mean_loss", state_.loss_sum / static_cast<double>(state_.loss_count)},
                         {"lr", plan.lr},
                         {"gradient_norm", outcome.gradient_norm},
                         {"training_flops", state_.flops},
                         {"milliseconds", seconds * 1e3},
                         {"tokens_per_second", tokens / seconds},
                         {"gflops", gflops}};
  if (peak_gflops_ > 0) line["gemm_share"] = gflops / peak_gflops_;
  if (model_.routers().any()) {
    const RoutingSummary routing = model_.routers().summary();
    nlohmann::json& router = line["router"];
    router = {{"loss", outcome.router_loss},
              {"losses", model_.routers().losses()},
              {"experts_per_token", routing.experts_per_token},
              {"null_share", routing.null_share},
              {"load_max", routing.load_max},
              {"load_entropy", routing.load_entropy},
              {"dead_experts", routing.dead},
              {"dropped", routing.dropped}};
    if (routing.router_entropy_share) router["entropy"] = *routing.router_entropy_share;
    if (plan.router.balance_coefficient)
      router["balance_coefficient"] = *plan.router.balance_coefficient;
    if (plan.router.inverse_temperature)
      router["inverse_temperature"] = *plan.router.inverse_temperature;
  }
  log_->write(line);
  state_.loss_sum = 0;
  state_.loss_count = 0;
}

Evaluation Run::evaluate_on(const TokenFile& text, int windows, RoutingTotals* routing) {
  return evaluate(model_.compute(), text,
                  {.sequence = recipe_.data.sequence,
                   .batch = recipe_.train.batch,
                   .windows = static_cast<std::uint64_t>(windows),
                   .device = options_.device,
                   .routing = routing});
}

// Of the steps in the log, which a resumed run has too.
double Run::median_milliseconds() const {
  std::vector<double> values;
  for (const nlohmann::json& line : read_log(fs_, directory_.log()))
    if (line.contains("milliseconds")) values.push_back(line.at("milliseconds").get<double>());
  return median(std::move(values));
}

void Run::evaluate_now() {
  const Evaluation result = evaluate_on(corpus_.valid, recipe_.train.eval_windows);
  const double loss = result.loss();
  state_.last_valid_loss = loss;
  log_->write({{"event", "evaluation"},
               {"step", state_.step},
               {"training_flops", state_.flops},
               {"valid_loss", loss},
               {"valid_perplexity", result.perplexity()}});
  if (state_.best_step == 0 || loss < state_.best_loss) {
    state_.best_loss = loss;
    state_.best_step = state_.step;
    state_.evaluations_since_best = 0;
    if (recipe_.output.best) save_best();
  } else {
    ++state_.evaluations_since_best;
  }
  if (recipe_.train.patience > 0 && state_.evaluations_since_best >= recipe_.train.patience) {
    stopped_early_ = true;
    options_.say(fmt::format("stopping early: no improvement since step {}", state_.best_step));
  }
}

void Run::save_best() { save_step(fs_, directory_.best(), state_, {{"model", model_.weights()}}); }

void Run::checkpoint() {
  state_.data_key = corpus_.train.key();
  log_->sync();
  save_step(fs_, directory_.checkpoints(), state_,
            {{"model", model_.weights()}, {"optimizer", model_.optimizer().state()}});
  checkpointed_step_ = state_.step;
  prune();
  write_file_atomically(fs_, directory_.curves(),
                        draw_curves(read_log(fs_, directory_.log()), recipe_.name));
}

// Best weights are needed as long as a checkpoint refers to them.
void Run::prune() {
  std::vector<std::int64_t> steps = list_steps(fs_, directory_.checkpoints());
  const auto keep = static_cast<std::size_t>(recipe_.train.keep_checkpoints);
  if (steps.size() > keep)
    steps.erase(steps.begin(), steps.end() - static_cast<std::ptrdiff_t>(keep));
  std::vector<std::int64_t> best;
  for (const std::int64_t step : steps) {
    best.push_back(load_state(fs_, directory_.checkpoints() + "/" + step_name(step)).best_step);
  }
  keep_steps(fs_, directory_.checkpoints(), steps);
  keep_steps(fs_, directory_.best(), best);
}

RunResult Run::finish() {
  RunResult out;
  out.finished = true;
  out.step = state_.step;
  out.train_loss = state_.last_loss;
  out.best_step = state_.best_step;
  out.stopped_early = stopped_early_;
  out.parameters = config_.parameters();
  out.training_flops = state_.flops;
  out.step_milliseconds = median_milliseconds();
  out.seconds = state_.seconds;
  out.tokens_per_second =
      static_cast<double>(state_.step * recipe_.tokens_per_step()) / state_.seconds;
  out.weights_hash = hash_of(model_.weights());
  out.finished_at = utc_time(std::chrono::system_clock::now());
  out.machine = machine_description(options_.device.str(), torch::get_num_threads());
  if (recipe_.output.best && state_.best_step != state_.step) {
    load_tensors(fs_, directory_.best() + "/" + step_name(state_.best_step) + "/model.safetensors",
                 model_.weights());
  }
  RoutingTotals routing(RoutingTotals::Detail::evaluation);
  const Evaluation valid = evaluate_on(corpus_.valid, 0, corpus_.test ? nullptr : &routing);
  out.valid_loss = valid.loss();
  out.valid_perplexity = valid.perplexity();
  out.valid_bits_per_byte = text_score(valid, corpus_.valid).bits_per_byte;
  if (corpus_.test) {
    const Evaluation test = evaluate_on(*corpus_.test, 0, &routing);
    const TextScore units = text_score(test, *corpus_.test);
    out.test_loss = test.loss();
    out.test_perplexity = units.token_perplexity;
    out.test_word_perplexity = units.word_perplexity;
    out.test_bits_per_byte = units.bits_per_byte;
  }
  out.active_parameters = measured_active_parameters(config_, routing);
  if (routing.any()) {
    out.routing = routing.summary();
    out.training_experts_per_token =
        state_.experts_per_token_sum / static_cast<double>(state_.step);
  }
  export_run(fs_, recipe_, model_.master(), corpus_.tokenizer, directory_.model());
  write_file_atomically(fs_, directory_.curves(),
                        draw_curves(read_log(fs_, directory_.log()), recipe_.name));
  write_file_atomically(fs_, directory_.result(), to_json(out).dump(2) + "\n");
  return out;
}

}  // namespace

RunResult run_training(FileSystem& fs, const Recipe& recipe, const RunOptions& options) {
  set_torch_threads(recipe.train.threads);
  fs.create_directories(recipe.output.directory);
  return Run(fs, with_source_tokenizer(recipe), options)();
}

}  // namespace switchyard::train
