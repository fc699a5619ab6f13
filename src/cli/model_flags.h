// The flags of every command that opens a model: which one, how much memory, which threads. Named
// as in llama.cpp where it has them.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "switchyard/local_generator.h"
#include "switchyard/runtime.h"

#include "cli/console.h"

namespace switchyard::cli {

struct ModelFlags {
  std::string model;          // MODEL or -m
  std::string memory_budget;  // "1.5GiB", "25%" (of the expert bytes), "" for no limit
  std::string policy = "lru";
  std::string prefetch = "stale-gate";
  std::string io = "auto";
  std::string kernels = "auto";
  int threads = 0;
  int context = 0;
  int batch = 512;
  std::string cache_type_k = "f32";
  std::string cache_type_v = "f32";
  std::vector<int> experts_per_token;  // K instead of the model's: one, or one a layer
  double flops_per_token = 0;          // of the MoE layers; chooses K; 0: unused

  void add_to(CLI::App& app);
  // Throws Error naming the flag.
  runtime::ModelOptions options() const;
  // Says on stderr which K is in force where it is not the model's own.
  std::shared_ptr<const runtime::Model> open(Console& console) const;
};

}  // namespace switchyard::cli
