#include "cli/training_history.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace switchyard::cli {
namespace {

constexpr std::uint64_t kLargestLog = 1ULL << 30;
constexpr int kWidth = 460;
constexpr int kHeight = 280;

void add_point(const nlohmann::json& router, const char* key, double step, plot::Series& out) {
  const auto found = router.find(key);
  if (found == router.end() || !found->is_number()) return;
  out.x.push_back(step);
  out.y.push_back(found->get<double>());
}

}  // namespace

bool is_run_directory(FileSystem& fs, const std::string& directory) {
  return fs.exists(directory + "/log.jsonl") && fs.exists(directory + "/model/config.json");
}

TrainingHistory read_training_history(FileSystem& fs, const std::string& run_directory) {
  const std::string text = read_file(fs, run_directory + "/log.jsonl", kLargestLog);
  TrainingHistory out;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const nlohmann::json line =
        nlohmann::json::parse(text.begin() + static_cast<std::ptrdiff_t>(begin),
                              text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    begin = end + 1;
    if (!line.is_object() || !line.contains("router") || !line.contains("step")) continue;
    const nlohmann::json& router = line.at("router");
    if (!router.is_object() || !line.at("step").is_number()) continue;
    const double step = line.at("step").get<double>();
    add_point(router, "experts_per_token", step, out.experts_per_token);
    add_point(router, "null_share", step, out.null_share);
    add_point(router, "load_entropy", step, out.load_entropy);
    add_point(router, "entropy", step, out.router_entropy);
  }
  return out;
}

std::string draw_experts_per_token(const TrainingHistory& history) {
  return plot::to_svg(plot::LinePlot{.title = "Experts per token in training",
                                     .x = {.label = "step"},
                                     .y = {.label = "experts per token", .min = 0.0},
                                     .series = {history.experts_per_token},
                                     .width = kWidth,
                                     .height = kHeight});
}

std::string draw_routing_shares(const TrainingHistory& history) {
  plot::LinePlot plot{.title = "Routing in training",
                      .x = {.label = "step"},
                      .y = {.label = "share", .min = 0.0, .max = 1.02},
                      .width = kWidth,
                      .height = kHeight};
  for (const plot::Series* series :
       {&history.load_entropy, &history.router_entropy, &history.null_share})
    if (!series->x.empty()) plot.series.push_back(*series);
  return plot::to_svg(plot);
}

}  // namespace switchyard::cli
