// The flags of every command that opens a model: which one, how much memory, which threads. Named
// as in llama.cpp where it has them.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

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

  void add_to(CLI::App& app);
  // Throws Error naming the flag.
  runtime::ModelOptions options() const;
  std::shared_ptr<const runtime::Model> open(Console& console) const;
};

}  // namespace switchyard::cli
