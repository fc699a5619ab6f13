#include "train/curves.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/svg_plot.h"

namespace switchyard::train {
namespace {

// One plot above the other: SVG images nest.
std::string stacked(const std::vector<plot::LinePlot>& plots) {
  int width = 0;
  int height = 0;
  for (const plot::LinePlot& plot : plots) {
    width = std::max(width, plot.width);
    height += plot.height;
  }
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + std::to_string(width) +
                    "\" height=\"" + std::to_string(height) + "\">\n";
  int top = 0;
  for (const plot::LinePlot& plot : plots) {
    out += "<g transform=\"translate(0 " + std::to_string(top) + ")\">\n" + plot::to_svg(plot) +
           "</g>\n";
    top += plot.height;
  }
  return out + "</svg>\n";
}

// Experts per token where the routers choose how many.
plot::Series experts_per_token(const std::vector<nlohmann::json>& lines) {
  plot::Series out = {.name = "experts per token"};
  for (const nlohmann::json& line : lines) {
    if (!line.contains("router") || !line.at("router").contains("experts_per_token")) continue;
    out.x.push_back(line.value("step", 0.0));
    out.y.push_back(line.at("router").at("experts_per_token").get<double>());
  }
  return out;
}

bool varies(const plot::Series& series) {
  if (series.y.empty()) return false;
  const auto [low, high] = std::minmax_element(series.y.begin(), series.y.end());
  return *high - *low > 1e-9;
}

}  // namespace

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
  const plot::LinePlot loss = {.title = title,
                               .x = {.label = "step"},
                               .y = {.label = "cross entropy", .unit = "nats/token"},
                               .series = {training, validation}};
  const plot::Series experts = experts_per_token(lines);
  if (!varies(experts)) return plot::to_svg(loss);
  return stacked({loss,
                  {.x = {.label = "step"},
                   .y = {.label = "experts per token", .min = 0.0},
                   .series = {experts},
                   .height = 260}});
}

}  // namespace switchyard::train
