#include "train/curves.h"

#include <nlohmann/json.hpp>

#include "base/svg_plot.h"

namespace switchyard::train {

std::string draw_curves(const std::vector<nlohmann::json>& lines, const std::string& title) {
  plot::Series training = {.name = "training (mean since the last point)"};
  plot::Series validation = {.name = "validation", .style = plot::LineStyle::line_and_markers};
  for (const nlohmann::json& line : lines) {
    const std::string event = line.value("event", "");
    const double step = line.value("step", 0.0);
    if (event == "step" && line.contains("mean_loss")) {
      training.x.push_back(step);
      training.y.push_back(line.value("mean_loss", 0.0));
    } else if (event == "evaluation" && line.contains("valid_loss")) {
      validation.x.push_back(step);
      validation.y.push_back(line.value("valid_loss", 0.0));
    }
  }
  return plot::to_svg(plot::LinePlot{.title = title,
                                     .x = {.label = "step"},
                                     .y = {.label = "cross entropy", .unit = "nats/token"},
                                     .series = {training, validation}});
}

}  // namespace switchyard::train
