// The module's commands. Each parses its flags, calls the library and prints. They throw Error and
// CLI::ParseError.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <torch/types.h>

#include "train/trainer.h"

namespace switchyard::cli {

using Arguments = std::vector<std::string>;  // without the names of program and command

int run_train(const Arguments& arguments, const std::stop_token& stop);
int run_reproduce(const Arguments& arguments, const std::stop_token& stop);

// "cpu" or "cuda"; throws Error if libtorch has no such device here.
torch::Device parse_device(const std::string& name);

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kWrongUsage = 2;
inline constexpr int kStopped = 130;

}  // namespace switchyard::cli
