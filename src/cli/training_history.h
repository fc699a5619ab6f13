// How routing changed over a training run, from the log.jsonl of its directory.
#pragma once

#include <string>
#include <vector>

#include "switchyard/file_system.h"

#include "base/svg_plot.h"

namespace switchyard::cli {

// One point a step line of the log that has it.
struct TrainingHistory {
  plot::Series experts_per_token{.name = "experts per token"};
  plot::Series null_share{.name = "null share"};          // of the assignments
  plot::Series load_entropy{.name = "load entropy"};      // of the largest possible
  plot::Series router_entropy{.name = "router entropy"};  // of the largest possible

  bool empty() const { return experts_per_token.x.empty(); }
};

// Whether the directory is one that `switchyard train` wrote, with a model in it.
bool is_run_directory(FileSystem& fs, const std::string& directory);

// Empty for a run without routers. Lines that do not parse, as a run that was killed may leave one,
// are left out.
TrainingHistory read_training_history(FileSystem& fs, const std::string& run_directory);

// SVG: experts per token, and the shares.
std::string draw_experts_per_token(const TrainingHistory& history);
std::string draw_routing_shares(const TrainingHistory& history);

}  // namespace switchyard::cli
