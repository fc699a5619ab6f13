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
  int parallel = 1;                    // sequences that there must be memory for
  std::string plan;                    // "text", "json": --plan was given

  void add_to(CLI::App& app);
  // Throws Error naming the flag.
  runtime::ModelOptions options() const;
  // The same with K where it depends on the model.
  runtime::ModelOptions options_for_model(FileSystem& fs) const;
  // On stderr, where K is not the model's own.
  void say_experts_per_token(Console& console, const runtime::ModelOptions& options) const;
  std::shared_ptr<const runtime::Model> open(Console& console) const;
  // Prints the memory plan if --plan was given: true if so, and the command is done.
  bool print_plan(Console& console) const;
};

}  // namespace switchyard::cli
