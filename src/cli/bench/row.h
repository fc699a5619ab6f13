// One line of the bench's table: what was asked for, what was measured, and what the machine
// allows.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/bench/measure.h"

namespace switchyard::cli::bench {

// What one process of the bench measures.
struct Job {
  std::string model{};    // path
  std::string budget{};   // as --mem-budget; empty: none
  std::string kernels{};  // as --kernels
  int threads = 0;        // 0: one per core
  int batch = 512;
  Test test{};

  bool operator==(const Job&) const = default;
};

// Of this machine with the row's threads, in 10^9 a second (kernels/machine_limits.h).
struct Limits {
  double dram_read_bytes = 0;
  double float_operations = 0;
  double integer_operations = 0;
};

struct Row {
  Job job{};
  Result result{};
  Limits limits{};
  std::string time{};             // when it was measured, UTC
  std::uint64_t peak_memory = 0;  // of the process, bytes
  bool same_tokens = true;        // as the first row with this model and test

  // Of the repetitions, tokens per second.
  std::vector<double> speeds() const;
  // 10^9 a second, at the median speed.
  double gigabytes_per_second() const;
  double gigaoperations_per_second() const;
  // Of what the machine allows, at the median speed. Operations: the time that they would take at
  // the peak rate of their kind, over the time they took.
  double share_of_dram() const;
  double share_of_peak() const;
  // Experts that were in memory when they were asked for; 1 for a model without.
  double hit_ratio() const;
  double read_bytes_per_token() const;
};

// Everything, for machines. Fields that llama-bench has carry its names and units.
nlohmann::ordered_json to_json(const Row& row);

}  // namespace switchyard::cli::bench
