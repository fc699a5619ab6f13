#include "train/oracle_analysis.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include <torch/types.h>

#include "switchyard/error.h"

#include "models/checkpoint_io.h"
#include "models/share_threshold.h"
#include "train/corpus.h"
#include "train/oracle/route_study.h"
#include "train/oracle/router_eval.h"
#include "train/oracle_figures.h"
#include "train/recipe.h"
#include "train/run_directory.h"

namespace switchyard::train {
namespace {

using oracle::RouteStudy;

constexpr std::int64_t kWindows = 64;
constexpr std::int64_t kCalibrationWindows = 64;
constexpr std::int64_t kQuickWindows = 4;

double bits(double nats) { return nats / std::log(2.0); }

Recipe recipe_of(FileSystem& fs, const FinishedRun& run) {
  return load_recipe(fs, RunDirectory{run.directory}.recipe());
}

bool has_routes(const Recipe& recipe) {
  return recipe.router && recipe.router->kind == routing::Kind::random &&
         !recipe.router->probabilities.empty();
}

// The run of this seed whose routes are studied: the one that routers start from, or else the first
// with random routing by shares. Throws Error if there is none.
FinishedRun& studied_run(FileSystem& fs, std::vector<FinishedRun>& runs, std::uint64_t seed) {
  FinishedRun* first = nullptr;
  std::set<std::string> sources;
  for (const FinishedRun& run : runs) sources.insert(recipe_of(fs, run).train.from);
  for (FinishedRun& run : runs) {
    if (run.seed != seed || !has_routes(recipe_of(fs, run))) continue;
    if (sources.contains(RunDirectory{run.directory}.model())) return run;
    if (first == nullptr) first = &run;
  }
  if (first != nullptr) return *first;
  throw Error({.what = "no arm has random routing with given probabilities",
               .where = "analysis route-oracle",
               .expected = "an arm whose routes can be studied",
               .fix = "set router.kind to random and router.probabilities in one arm"});
}

// [count, T + 1] windows of a text, evenly spread.
torch::Tensor windows_of(const TokenFile& text, std::int64_t count, std::int64_t length) {
  const auto whole = static_cast<std::int64_t>(text.size() - 1) / length;
  count = std::min(count, whole);
  if (count < 1) {
    throw Error({.what = fmt::format("a text of {} tokens is too short to study", text.size()),
                 .where = "analysis route-oracle",
                 .expected = fmt::format("{} tokens or more", length + 1)});
  }
  auto windows = torch::empty({count, length + 1}, torch::kInt64);
  for (std::int64_t s = 0; s < count; ++s) {
    text.read(static_cast<std::size_t>(s * whole / count * length),
              std::span(windows.data_ptr<std::int64_t>() + s * (length + 1),
                        static_cast<std::size_t>(length + 1)));
  }
  return windows;
}

struct Texts {
  torch::Tensor study, calibration;  // [S, T + 1]
  double tokens_per_byte = 1;
};

Texts read_texts(const AnalysisContext& context, const Recipe& recipe) {
  const Corpus corpus = load_corpus(context.fs, recipe.data,
                                    RunDirectory{recipe.output.directory}.cache(), context.say);
  const TokenFile& text = corpus.test ? *corpus.test : corpus.valid;
  const std::int64_t length = recipe.data.sequence;
  const auto count = context.quick ? kQuickWindows : kWindows;
  return {.study = windows_of(text, count, length),
          .calibration =
              windows_of(corpus.valid, context.quick ? kQuickWindows : kCalibrationWindows, length),
          .tokens_per_byte =
              static_cast<double>(text.size()) / static_cast<double>(text.counts().bytes)};
}

// Numbers of the studied model that claims can name.
void add_study(const RouteStudy& study, double per_byte, nlohmann::json& result) {
  const auto at = [&](const char* curve, int b) {
    return study.curves.at(curve)[static_cast<std::size_t>(b)] * per_byte;
  };
  const auto lowest = [&](const char* curve, const char* less) {
    // Budgets that leave a choice: with no or all layers big there is one route.
    double best = study.layers > 1 ? std::numeric_limits<double>::infinity() : 0.0;
    for (int b = 1; b < study.layers; ++b) best = std::min(best, at(curve, b) - at(less, b));
    return best;
  };
  result["all_big_bits"] = study.all_big * per_byte;
  result["all_small_bits"] = study.all_small * per_byte;
  result["small_minus_big_bits"] = (study.all_small - study.all_big) * per_byte;
  result["best_of_all_routes_bits"] = study.best_of_all * per_byte;
  result["falling_minus_constant_bits"] = (study.falling_budget - study.constant_budget) * per_byte;
  result["rising_minus_constant_bits"] = (study.rising_budget - study.constant_budget) * per_byte;
  result["delta_rank_correlation"] = study.delta_rank_correlation;
  // The published claim: one big layer, chosen by the oracle, against all big.
  result["oracle_1_minus_all_big_bits"] = at(oracle::kOracle, 1) - study.all_big * per_byte;
  result["sequential_1_minus_all_big_bits"] =
      at(oracle::kSequential, 1) - at(oracle::kSequentialFixed, study.layers);
  // Headroom that is not hindsight would be below 0 for some budget.
  result["code_minus_fixed_bits"] = lowest(oracle::kCodeLength, oracle::kFixed);
  result["sampled_label_minus_fixed_bits"] = lowest(oracle::kSampledLabel, oracle::kFixed);
  result["oracle_minus_fixed_bits"] = lowest(oracle::kOracle, oracle::kFixed);
  // Of the oracle's gain over the best fixed route in the middle, what noise alone would gain.
  const int middle = study.layers / 2;
  const double gain = at(oracle::kFixed, middle) - at(oracle::kOracle, middle);
  result["null_share_of_gain"] =
      gain > 0 ? (at(oracle::kFixed, middle) - at(oracle::kNull, middle)) / gain : 0.0;
  for (int b = 0; b <= study.layers; ++b) {
    result[fmt::format("oracle_bits_{}", b)] = at(oracle::kOracle, b);
    result[fmt::format("fixed_bits_{}", b)] = at(oracle::kFixed, b);
    result[fmt::format("code_bits_{}", b)] = at(oracle::kCodeLength, b);
  }
}

void add_router(const RouterResult& router, const SeedResult& seed, nlohmann::json& result) {
  const double per_byte = seed.per_byte;
  const auto b = static_cast<std::size_t>(router.budget);
  const double fixed = seed.study.curves.at(oracle::kFixed)[b] * per_byte;
  const double oracle_bits = seed.study.curves.at(oracle::kOracle)[b] * per_byte;
  const double share = static_cast<double>(router.budget) / seed.study.layers;
  result["soft_bits"] = router.plain.soft * per_byte;
  result["hard_bits"] = router.plain.hard * per_byte;
  result["top_b_bits"] = router.plain.top_b * per_byte;
  result["calibrated_bits"] = router.calibrated * per_byte;
  result["hard_share"] = router.plain.hard_share;
  result["calibrated_share"] = router.calibrated_share;
  result["budget_error"] = router.plain.soft_share - share;
  result["calibrated_budget_error"] = router.calibrated_share - share;
  result["fixed_bits"] = fixed;
  result["calibrated_minus_fixed_bits"] = router.calibrated * per_byte - fixed;
  result["top_b_minus_fixed_bits"] = router.plain.top_b * per_byte - fixed;
  result["calibrated_minus_oracle_bits"] = router.calibrated * per_byte - oracle_bits;
  result["router_entropy"] = router.plain.entropy;
}

RouterResult study_router(const AnalysisContext& context, const FinishedRun& run,
                          const Recipe& recipe, const Texts& texts) {
  const auto model = models::load_model(context.fs, RunDirectory{run.directory}.model());
  model->to(context.device);
  const auto batch = recipe.train.batch;
  RouterResult out;
  const double share = static_cast<double>(recipe.router->losses.budget.at(0));
  out.budget = static_cast<int>(std::lround(share * recipe.model.layers));
  out.plain = oracle::evaluate_router(*model, texts.study, out.budget, batch);
  const auto tokens = texts.calibration.narrow(1, 0, texts.calibration.size(1) - 1);
  const auto calibrated =
      models::calibrate_share(*model, tokens.contiguous().to(context.device), share);
  const auto at_budget = oracle::evaluate_router(*calibrated, texts.study, out.budget, batch);
  out.calibrated = at_budget.hard;
  out.calibrated_share = at_budget.hard_share;
  return out;
}

// Of models that are not studied whole: dense ones, and others with a big and a small expert.
void study_fixed(const AnalysisContext& context, FinishedRun& run, const Recipe& recipe,
                 const Texts& texts, double per_byte) {
  const auto model = models::load_model(context.fs, RunDirectory{run.directory}.model());
  model->to(context.device);
  const auto bits_of = [&](const std::optional<oracle::Route>& route) {
    return oracle::mean_loss(*model, texts.study, recipe.train.batch, route) * per_byte;
  };
  if (!recipe.router) {
    run.result["all_big_bits"] = bits_of(std::nullopt);
    return;
  }
  const auto layers = static_cast<std::size_t>(recipe.model.layers);
  run.result["all_big_bits"] = bits_of(oracle::Route(layers, oracle::kBig));
  run.result["all_small_bits"] = bits_of(oracle::Route(layers, oracle::kSmall));
}

SeedResult analyse_seed(const AnalysisContext& context, std::vector<FinishedRun>& runs,
                        std::uint64_t seed) {
  SeedResult out;
  FinishedRun& studied = studied_run(context.fs, runs, seed);
  const Recipe recipe = recipe_of(context.fs, studied);
  const Texts texts = read_texts(context, recipe);
  out.per_byte = bits(texts.tokens_per_byte);

  context.say(fmt::format("seed {}: {} windows under all routes", seed, texts.study.size(0)));
  const std::string directory = RunDirectory{studied.directory}.model();
  const auto model = models::load_model(context.fs, directory);
  model->to(context.device);
  oracle::StudyOptions options;
  options.batch = recipe.train.batch;
  options.seed = seed;
  options.stop = context.stop;
  if (context.quick) {
    options.sequential_windows = 1;
    options.sequential_tokens = 16;
  }
  out.study = oracle::study_routes(context.fs, directory, *model, texts.study, options);
  add_study(out.study, out.per_byte, studied.result);

  for (FinishedRun& run : runs) {
    if (run.seed != seed || &run == &studied) continue;
    if (context.stop.stop_requested()) throw Cancelled();
    const Recipe other = recipe_of(context.fs, run);
    if (!other.router || has_routes(other)) {
      study_fixed(context, run, other, texts, out.per_byte);
    } else if (other.router->soft_training && !other.router->losses.budget.empty()) {
      context.say(fmt::format("seed {}: router of arm {}", seed, run.arm));
      out.routers.push_back(study_router(context, run, other, texts));
      add_router(out.routers.back(), out, run.result);
    }
  }
  return out;
}

}  // namespace

nlohmann::json analyse_route_oracle(const AnalysisContext& context,
                                    std::vector<FinishedRun>& runs) {
  std::vector<std::uint64_t> seeds;
  for (const FinishedRun& run : runs) {
    if (std::find(seeds.begin(), seeds.end(), run.seed) == seeds.end()) seeds.push_back(run.seed);
  }
  std::vector<SeedResult> results;
  for (const std::uint64_t seed : seeds) results.push_back(analyse_seed(context, runs, seed));
  const auto write = [&](const char* name, const std::string& text) {
    write_file_atomically(context.fs, context.directory + "/" + name, text);
  };
  write("routes.svg", curves_plot(results));
  write("route-usage.svg", usage_plot(results));
  write("tokens.jsonl", oracle::to_json_lines(results.front().study.tokens));
  return {{"tables", {curves_table(results)}}, {"figures", {"routes.svg", "route-usage.svg"}}};
}

}  // namespace switchyard::train
