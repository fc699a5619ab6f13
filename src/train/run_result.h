// What a run came to: result.json in its directory.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "train/routing_summary.h"

namespace switchyard::train {

struct RunResult {
  bool finished = false;  // false: stopped on request, a checkpoint is there
  std::int64_t step = 0;
  double train_loss = 0;  // mean cross entropy of the last step
  double valid_loss = 0;  // of the exported weights
  double valid_perplexity = 0;
  double valid_bits_per_byte = 0;
  std::int64_t best_step = 0;
  bool stopped_early = false;
  std::uint64_t parameters = 0;
  double active_parameters = 0;  // mean weights a token of the last evaluation used
  double seconds = 0;            // spent in training, over all sessions
  double tokens_per_second = 0;
  double step_milliseconds = 0;  // median of the steps in the log, evaluations left out
  double training_flops = 0;     // of all passes, counted from the experts chosen
  std::string weights_hash;      // XXH3-64 of the last step's weights, as hex
  // Absent in results of versions that did not write them.
  std::optional<std::string> finished_at;  // UTC, "2026-01-31T12:00:00Z"
  std::optional<std::string> machine;      // processor, cores, memory, device, threads
  std::optional<double> test_loss, test_perplexity, test_word_perplexity, test_bits_per_byte;
  std::optional<double> training_experts_per_token;  // mean over steps
  // Of the exported weights over the test text, or the validation text if there is none.
  std::optional<RoutingSummary> routing;
};

nlohmann::json to_json(const RunResult& result);
RunResult run_result_from_json(const nlohmann::json& json, const std::string& where);

}  // namespace switchyard::train
