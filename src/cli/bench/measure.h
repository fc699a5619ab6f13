// One test of one opened model: how long its repetitions took, what they had to read and compute at
// least, and a hash of the tokens that shows that the answer did not change.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "switchyard/runtime.h"

#include "runtime/work.h"

namespace switchyard::cli::bench {

// A prompt of so many tokens and so many tokens generated after it, both timed, behind `depth`
// tokens that are in the cache already.
struct Test {
  int prompt = 0;
  int generate = 0;
  int depth = 0;

  int tokens() const { return prompt + generate; }  // timed
  int context() const { return depth + tokens(); }  // the cache must hold
  std::string name() const;                         // "pp512", "tg128", "pp512+tg128 @ d4096"
  bool operator==(const Test&) const = default;
};

struct Result {
  // Of the model as it was opened.
  std::string model_type{};  // "olmoe 6.9B-A1.3B"
  std::string file_type{};   // of most weights: "Q4_0"
  std::uint64_t model_bytes = 0;
  std::uint64_t parameters = 0;
  std::uint64_t active_parameters = 0;  // of one token
  std::string kernels{};
  int threads = 0;
  int batch_tokens = 0;            // computed at once; less than asked where a budget is short
  std::uint64_t expert_slots = 0;  // bytes
  std::uint64_t booked = 0;        // most the ledger held, bytes

  // Of all repetitions.
  std::vector<double> seconds{};  // one each
  double expert_hits = 0;         // experts that were in memory when they were asked for
  double expert_requests = 0;
  double bytes_read = 0;  // of experts, from disk
  runtime::Work work{};   // of one repetition; all are alike

  std::uint64_t token_hash = 0;  // FNV-1a over the best token after the prompt and after each step
  bool repeats = true;           // every repetition had this hash

  // Adds the repetitions of another process with the same model and test.
  void add(const Result& other);
};

nlohmann::json to_json(const Result& result);
Result result_from_json(const nlohmann::json& json);

struct MeasureOptions {
  int repetitions = 5;
  bool warm_up = true;  // the test once before, not counted
  std::stop_token stop = {};
};

// `tokens`: test.depth + max(test.prompt, 1) of them; generation always goes on with the best
// token.
Result measure(runtime::Engine& engine, const Test& test, std::span<const std::int32_t> tokens,
               const MeasureOptions& options);

}  // namespace switchyard::cli::bench
