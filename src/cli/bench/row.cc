#include "cli/bench/row.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/cpu_info.h"
#include "base/statistics.h"
#include "cli/version.h"

namespace switchyard::cli::bench {
namespace {

double ratio(double a, double b) { return b > 0 ? a / b : 0; }

std::int64_t nanoseconds(double seconds) {
  return static_cast<std::int64_t>(std::llround(seconds * 1e9));
}

}  // namespace

std::vector<double> Row::speeds() const {
  std::vector<double> speeds;
  for (const double s : result.seconds) speeds.push_back(ratio(job.test.tokens(), s));
  return speeds;
}

double Row::gigabytes_per_second() const {
  return ratio(result.work.bytes() / 1e9, median(result.seconds));
}

double Row::gigaoperations_per_second() const {
  return ratio(result.work.operations() / 1e9, median(result.seconds));
}

double Row::share_of_dram() const { return ratio(gigabytes_per_second(), limits.dram_read_bytes); }

double Row::share_of_peak() const {
  const double least_seconds =
      ratio(result.work.float_operations / 1e9, limits.float_operations) +
      ratio(result.work.integer_operations / 1e9, limits.integer_operations);
  return ratio(least_seconds, median(result.seconds));
}

double Row::hit_ratio() const {
  return result.expert_requests > 0 ? result.expert_hits / result.expert_requests : 1;
}

double Row::read_bytes_per_token() const {
  return ratio(result.bytes_read, static_cast<double>(result.seconds.size()) * job.test.tokens());
}

nlohmann::ordered_json to_json(const Row& row) {
  const Result& r = row.result;
  const std::vector<double> speeds = row.speeds();
  std::vector<std::int64_t> times;
  for (const double s : r.seconds) times.push_back(nanoseconds(s));
  const double tokens = row.job.test.tokens();
  return {{"build_version", kVersion},
          {"cpu_info", cpu_info().model},
          {"test_time", row.time},
          {"model_filename", row.job.model},
          {"model_type", r.model_type},
          {"file_type", r.file_type},
          {"model_size", r.model_bytes},
          {"model_n_params", r.parameters},
          {"model_n_active_params", r.active_parameters},
          {"budget", row.job.budget.empty() ? "unlimited" : row.job.budget},
          {"expert_slots", r.expert_slots},
          {"n_threads", r.threads},
          {"n_batch", row.job.batch},
          {"n_ubatch", r.batch_tokens},
          {"kernels", r.kernels},
          {"test", row.job.test.name()},
          {"n_prompt", row.job.test.prompt},
          {"n_gen", row.job.test.generate},
          {"n_depth", row.job.test.depth},
          {"avg_ns", nanoseconds(mean(r.seconds))},
          {"stddev_ns", nanoseconds(standard_deviation(r.seconds))},
          {"avg_ts", mean(speeds)},
          {"stddev_ts", standard_deviation(speeds)},
          {"median_ts", median(speeds)},
          {"samples_ns", times},
          {"samples_ts", speeds},
          {"weight_bytes_per_token", ratio(r.work.weight_bytes, tokens)},
          {"cache_bytes_per_token", ratio(r.work.cache_bytes, tokens)},
          {"gigabytes_per_second", row.gigabytes_per_second()},
          {"dram_gigabytes_per_second", row.limits.dram_read_bytes},
          {"share_of_dram", row.share_of_dram()},
          {"float_operations_per_token", ratio(r.work.float_operations, tokens)},
          {"integer_operations_per_token", ratio(r.work.integer_operations, tokens)},
          {"gigaoperations_per_second", row.gigaoperations_per_second()},
          {"peak_float_gigaoperations_per_second", row.limits.float_operations},
          {"peak_integer_gigaoperations_per_second", row.limits.integer_operations},
          {"share_of_peak", row.share_of_peak()},
          {"hit_ratio", row.hit_ratio()},
          {"read_bytes_per_token", row.read_bytes_per_token()},
          {"peak_memory", row.peak_memory},
          {"booked_memory", r.booked},
          {"token_hash", fmt::format("{:016x}", r.token_hash)},
          {"same_tokens", row.same_tokens}};
}

}  // namespace switchyard::cli::bench
