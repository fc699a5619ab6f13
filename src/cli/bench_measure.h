// One measurement of a model under one budget: prompt and generation speed, expert traffic, and a
// hash of the tokens that shows that the answer did not change.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "switchyard/runtime.h"

namespace switchyard::cli {

struct BenchResult {
  double prompt_tokens_per_second = 0;  // median over the repetitions
  double decode_tokens_per_second = 0;  // median over the repetitions
  double decode_gigabytes_per_second =
      0;  // bytes of weights used per token times decode speed, 10^9
  std::uint64_t weight_bytes_per_token = 0;  // of the experts that were chosen, and dense ones
  double hit_ratio = 1;                      // experts resident when asked for, while generating
  double read_bytes_per_token = 0;           // from disk, while generating
  std::uint64_t expert_slots = 0;            // bytes
  std::uint64_t booked = 0;                  // most the ledger held, bytes
  std::uint64_t peak_memory = 0;             // of the process, bytes; set by the parent
  std::uint64_t token_hash = 0;              // FNV-1a over the generated ids
};

nlohmann::json to_json(const BenchResult& result);
BenchResult bench_result_from_json(const nlohmann::json& json);

// Prompt, then `generate` greedy tokens, `repetitions` times in fresh sessions; a first, unmeasured
// round warms up.
BenchResult measure(runtime::Engine& engine, std::span<const std::int32_t> prompt, int generate,
                    int repetitions, std::stop_token stop);

// Bytes of weights that a decoded token reads: all dense matrices but the embedding table, and
// those of its experts, whose hidden widths over all layers sum to `expert_width`.
std::uint64_t weight_bytes_per_token(const runtime::Model& model, double expert_width);

}  // namespace switchyard::cli
