// What an experiment measures on the exported model of a finished run: the loss with other numbers
// of experts, and speed and reads in the runtime with a part of the experts in memory. Kept in
// measures.json of the run directory, so that nothing is measured twice.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <stop_token>
#include <string>
#include <vector>

#include <torch/types.h>

#include "switchyard/file_system.h"

#include "train/experiment.h"

namespace switchyard::train {

struct MeasureOptions {
  std::vector<std::int64_t> sweep_experts_per_token;
  Measure measure;
  bool quick = false;
  torch::Device device = torch::kCPU;
  std::stop_token stop;
  std::function<void(const std::string&)> say = [](const std::string&) {};
};

// Numbers to add to the run's result, for K = 4 and a budget:
//   test_loss_k4, test_bits_per_byte_k4 (valid_... without a test text)
//   runtime_tokens_per_second   decoding one sequence, median of several rounds
//   runtime_bytes_per_token     read from disk while decoding
//   runtime_weight_bytes_per_token  of the experts that were chosen
// A method that the runtime cannot run has "runtime_reason" (text) instead. Throws Cancelled.
nlohmann::json measure_run(FileSystem& fs, const Recipe& recipe, const MeasureOptions& options);

}  // namespace switchyard::train
