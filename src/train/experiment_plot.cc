#include "train/experiment_plot.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <numbers>
#include <optional>
#include <utility>

#include "base/svg_plot.h"
#include "train/run_directory.h"
#include "train/run_log.h"

namespace switchyard::train {
namespace {

// Values of several seeds at places that they share.
using Points = std::map<double, std::vector<double>>;

plot::Series series_of(const std::string& name, const Points& points) {
  plot::Series out = {.name = name};
  for (const auto& [x, values] : points) {
    out.x.push_back(x);
    out.y.push_back(mean(values));
    out.low.push_back(*std::min_element(values.begin(), values.end()));
    out.high.push_back(*std::max_element(values.begin(), values.end()));
  }
  return out;
}

// What the axes of the curves are, from the recipes of the runs.
struct CurveAxes {
  bool flops = true;  // x: all runs were given FLOPs
  bool bytes = true;  // y: every token is a byte
};

CurveAxes curve_axes(FileSystem& fs, const std::vector<FinishedRun>& runs) {
  CurveAxes axes;
  for (const FinishedRun& run : runs) {
    const Recipe recipe = load_recipe(fs, RunDirectory{run.directory}.recipe());
    axes.flops = axes.flops && recipe.train.flops > 0;
    axes.bytes = axes.bytes && recipe.data.tokenizer == kByteTokenizer;
  }
  return axes;
}

// Training FLOPs of all that came before a run: of the run whose model it started from, and so on.
double flops_before(const Experiment& experiment, const std::vector<FinishedRun>& runs,
                    const std::string& arm, std::uint64_t seed) {
  const std::string& from = std::ranges::find(experiment.arms, arm, &Arm::name)->from;
  if (from.empty()) return 0;
  const auto base = std::ranges::find_if(
      runs, [&](const FinishedRun& run) { return run.arm == from && run.seed == seed; });
  if (base == runs.end()) return 0;
  return base->result.value("training_flops", 0.0) + flops_before(experiment, runs, from, seed);
}

// Evaluations fall on the same steps in all seeds, not on the same FLOPs where K varies, and the
// last one then not on the same step: the n-th evaluations are put together at their mean place.
Points curve(FileSystem& fs, const Experiment& experiment, const Arm& arm,
             const std::vector<FinishedRun>& runs, const CurveAxes& axes) {
  std::vector<std::pair<std::vector<double>, std::vector<double>>> evaluations;  // x, loss
  for (const FinishedRun& run : runs) {
    if (run.arm != arm.name) continue;
    const double before = axes.flops ? flops_before(experiment, runs, run.arm, run.seed) : 0.0;
    std::size_t n = 0;
    for (const nlohmann::json& line : read_log(fs, RunDirectory{run.directory}.log())) {
      if (line.value("event", "") != "evaluation") continue;
      if (n == evaluations.size()) evaluations.emplace_back();
      auto& [x, y] = evaluations[n++];
      x.push_back(before + line.value(axes.flops ? "training_flops" : "step", 0.0));
      y.push_back(line.value("valid_loss", 0.0) / (axes.bytes ? std::numbers::ln2 : 1.0));
    }
  }
  Points out;
  for (const auto& [x, losses] : evaluations) out[mean(x)] = losses;
  return out;
}

std::string curves(FileSystem& fs, const Experiment& experiment,
                   const std::vector<FinishedRun>& runs) {
  const CurveAxes axes = curve_axes(fs, runs);
  const bool goes_on = !std::ranges::all_of(experiment.arms, &std::string::empty, &Arm::from);
  plot::LinePlot out = {
      .title = experiment.title,
      .subtitle = "mean over seeds; the band reaches from the lowest to the highest",
      .x = {.label = !axes.flops ? "step"
                     : goes_on   ? "training FLOPs, with those of the arm it starts from"
                                 : "training FLOPs",
            .min = 0},
      .y = {.label = "validation loss", .unit = axes.bytes ? "bits/byte" : "nats/token"},
      .width = 760,
      .height = 460};
  for (const Arm& arm : experiment.arms)
    out.series.push_back(series_of(arm.name, curve(fs, experiment, arm, runs, axes)));
  return plot::to_svg(out);
}

std::vector<double> metric_values(const Arm& arm, const std::vector<FinishedRun>& runs,
                                  const std::string& metric) {
  std::vector<double> values;
  for (const FinishedRun& run : runs) {
    if (run.arm == arm.name && run.result.contains(metric) && run.result.at(metric).is_number())
      values.push_back(run.result.at(metric).get<double>());
  }
  return values;
}

// "valid bits per byte"
std::string in_words(std::string metric) {
  std::ranges::replace(metric, '_', ' ');
  return metric;
}

// What arms and differences are drawn of: the first claim that compares arms, or none.
const Claim* first_comparison(const Experiment& experiment) {
  const auto found = std::ranges::find(experiment.claims, Claim::Kind::comparison, &Claim::kind);
  return found == experiment.claims.end() ? nullptr : &*found;
}

// A metric in every arm that has it.
std::string arms(const Experiment& experiment, const std::vector<FinishedRun>& runs,
                 const std::string& metric) {
  plot::DotPlot out = {.title = experiment.title,
                       .subtitle = "mean over seeds and their range; a small mark a seed",
                       .x = {.label = in_words(metric)},
                       .width = 760};
  for (const Arm& arm : experiment.arms) {
    const std::vector<double> values = metric_values(arm, runs, metric);
    if (values.empty()) continue;
    const auto [low, high] = std::ranges::minmax(values);
    out.rows.push_back(
        {.name = arm.name, .value = mean(values), .low = low, .high = high, .single = values});
  }
  return plot::to_svg(out);
}

// The differences that the claims with the metric of `first` look at.
std::string differences(const Experiment& experiment, const std::vector<FinishedRun>& runs,
                        const Claim& first) {
  plot::DotPlot out = {
      .title = experiment.title,
      .subtitle = "differences paired by seed: mean, 95 % interval, a small mark a seed",
      .x = {.label = fmt::format("{}: method − baseline ({} is better)", in_words(first.metric),
                                 first.lower_is_better ? "lower" : "higher")},
      .reference = 0.0,
      .width = 760};
  for (const Claim& claim : experiment.claims) {
    if (claim.kind != Claim::Kind::comparison || claim.metric != first.metric) continue;
    const ClaimResult result = judge(claim, runs);
    plot::DotRow row = {.name = fmt::format("{} − {}", claim.method, claim.baseline),
                        .value = result.interval.mean};
    if (result.method.size() > 1) {
      row.low = result.interval.low;
      row.high = result.interval.high;
    }
    for (std::size_t i = 0; i < result.method.size(); ++i)
      row.single.push_back(result.method[i] - result.baseline[i]);
    out.rows.push_back(std::move(row));
  }
  return plot::to_svg(out);
}

// Speed of decoding in the runtime; nothing if it was not measured. Logarithmic, since a model
// whose experts come from disk and one that is all in memory stand side by side.
std::optional<std::string> runtime_speeds(const Experiment& experiment,
                                          const std::vector<FinishedRun>& runs) {
  plot::DotPlot out = {
      .title = experiment.title,
      .subtitle = "decoding one token at a time in the runtime; mean over seeds and their range",
      .x = {.label = "tokens/s", .scale = plot::Scale::logarithmic},
      .show_values = true,
      .width = 760};
  for (const Arm& arm : experiment.arms) {
    const std::vector<double> values = metric_values(arm, runs, "runtime_tokens_per_second");
    if (values.empty()) continue;
    const auto [low, high] = std::ranges::minmax(values);
    out.rows.push_back(
        {.name = arm.name, .value = mean(values), .low = low, .high = high, .single = values});
  }
  if (out.rows.empty()) return std::nullopt;
  return plot::to_svg(out);
}

// Nothing if K was not swept.
std::optional<std::string> sweep(const Experiment& experiment,
                                 const std::vector<FinishedRun>& runs) {
  plot::LinePlot out = {
      .title = experiment.title,
      .subtitle = "evaluated with other K than the model's own; mean over seeds, and their range",
      .x = {.label = "experts per token"},
      .y = {.label = "loss", .unit = "bits/byte"},
      .width = 760,
      .height = 460};
  for (const Arm& arm : experiment.arms) {
    Points points;
    for (const std::int64_t k : arm.sweep_experts_per_token) {
      const std::string name = "_bits_per_byte_k" + std::to_string(k);
      for (const char* part : {"test", "valid"}) {
        const std::vector<double> values = metric_values(arm, runs, part + name);
        if (!values.empty()) points[static_cast<double>(k)] = values;
      }
    }
    if (points.empty()) continue;
    out.series.push_back(series_of(arm.name, points));
    out.series.back().style = plot::LineStyle::line_and_markers;
  }
  if (out.series.empty()) return std::nullopt;
  return plot::to_svg(out);
}

}  // namespace

std::vector<Figure> plot_experiment(FileSystem& fs, const Experiment& experiment,
                                    const std::vector<FinishedRun>& runs) {
  std::vector<Figure> out = {{"plot.svg", curves(fs, experiment, runs)}};
  if (const Claim* first = first_comparison(experiment)) {
    out.push_back({"arms.svg", arms(experiment, runs, first->metric)});
    out.push_back({"differences.svg", differences(experiment, runs, *first)});
  }
  if (const auto svg = runtime_speeds(experiment, runs)) out.push_back({"runtime.svg", *svg});
  if (const auto svg = sweep(experiment, runs)) out.push_back({"sweep.svg", *svg});
  return out;
}

}  // namespace switchyard::train
