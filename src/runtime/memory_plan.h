// How one budget is divided before anything large is allocated.
//
//   budget = process + dense weights + KV caches + scratch + (expert slots and their I/O buffers)
//
// Everything but the expert slots is known beforehand; the slots get the rest. The number of tokens
// computed at once is lowered until scratch takes a small share, because it changes speed only.
#pragma once

#include <cstdint>
#include <string>

#include "switchyard/experts.h"
#include "switchyard/model_config.h"
#include "switchyard/runtime.h"

namespace switchyard::runtime {

struct MemoryPlan {
  std::uint64_t process = 0;
  std::uint64_t dense_weights = 0;
  std::uint64_t kv_cache = 0;
  std::uint64_t scratch = 0;
  std::uint64_t experts = 0;       // budget of the expert cache; 0 for a dense model
  std::uint64_t full_experts = 0;  // of it when all experts stay in memory
  std::uint64_t floor = 0;         // the least budget in which the model runs
  int batch_tokens = 1;            // computed at once
  int sessions = 1;
  int session_tokens = 0;  // of each
  std::uint64_t total() const { return process + dense_weights + kv_cache + scratch + experts; }
};

// Bytes an engine needs to compute `tokens` at once. `quantised`: whether any weight is.
std::uint64_t scratch_bytes(const ModelConfig& config, int tokens, int sessions, bool quantised);

struct ExpertNeeds {
  std::uint64_t floor = 0;  // least that makes progress
  std::uint64_t full = 0;   // all experts stay in memory
};

// Throws Error that says the floor and what it consists of, when the budget is below it.
MemoryPlan plan_memory(const ModelConfig& config, const ModelOptions& options,
                       std::uint64_t process_bytes, std::uint64_t dense_bytes,
                       const ExpertNeeds& experts, bool quantised);

// What Model::open() would book for this model, without reading its weights. Throws Error for all
// that open() refuses before it reads them.
MemoryPlan plan_model(FileSystem& fs, const std::string& directory, const ModelOptions& options);

}  // namespace switchyard::runtime
