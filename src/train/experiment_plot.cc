#include "train/experiment_plot.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/svg_plot.h"
#include "train/run_log.h"

namespace switchyard::train {

std::string plot_experiment(FileSystem& fs, const Experiment& experiment,
                            const std::vector<FinishedRun>& runs,
                            const std::vector<std::string>& logs) {
  plot::LinePlot out = {
      .title = experiment.title,
      .subtitle = "mean over seeds; the band reaches from the lowest to the highest",
      .x = {.label = "step"},
      .y = {.label = "validation loss", .unit = "nats/token"}};
  for (const Arm& arm : experiment.arms) {
    std::map<std::int64_t, std::vector<double>> losses;  // by step
    for (std::size_t i = 0; i < runs.size(); ++i) {
      if (runs[i].arm != arm.name) continue;
      for (const nlohmann::json& line : read_log(fs, logs[i])) {
        if (line.value("event", "") == "evaluation") {
          losses[line.value("step", std::int64_t{0})].push_back(line.value("valid_loss", 0.0));
        }
      }
    }
    plot::Series series = {.name = arm.name};
    for (const auto& [step, values] : losses) {
      series.x.push_back(static_cast<double>(step));
      series.y.push_back(mean(values));
      series.low.push_back(*std::min_element(values.begin(), values.end()));
      series.high.push_back(*std::max_element(values.begin(), values.end()));
    }
    out.series.push_back(std::move(series));
  }
  return plot::to_svg(out);
}

}  // namespace switchyard::train
