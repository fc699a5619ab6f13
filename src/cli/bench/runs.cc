#include "cli/bench/runs.h"

#include <algorithm>
#include <condition_variable>
#include <fmt/format.h>
#include <mutex>
#include <nlohmann/json.hpp>
#include <ostream>

#include "switchyard/error.h"

#include "base/statistics.h"
#include "base/utc_time.h"
#include "cli/child_process.h"
#include "cli/memory_group.h"
#include "kernels/machine_limits.h"

namespace switchyard::cli::bench {
namespace {

// Others come and go on a machine: its limits are measured again after this time.
constexpr std::chrono::seconds kLimitsHold{20};

std::string describe(const Job& job) {
  std::string text = fmt::format("{} {}", job.model, job.test.name());
  if (!job.budget.empty()) text += " in " + job.budget;
  return text;
}

// What a process that failed said, without the program's name.
std::string reason_of(const ChildResult& run) {
  std::string reason = run.err;
  while (reason.ends_with('\n')) reason.pop_back();
  constexpr std::string_view kPrefix = "switchyard: error: ";
  const std::size_t at = reason.rfind(kPrefix);
  if (at != std::string::npos) reason.erase(0, at + kPrefix.size());
  return reason.empty() ? fmt::format("the process ended with code {}", run.exit_code) : reason;
}

}  // namespace

Runs::Runs(const Flags& flags, std::vector<Job> jobs, bool progress, Console& console)
    : flags_(flags), jobs_(std::move(jobs)), progress_(progress), console_(console) {}

void Runs::run() {
  if (!flags_.interleave) {
    run_round(flags_.repetitions);
    return;
  }
  for (int i = 0; i < flags_.repetitions; ++i) run_round(1);
}

void Runs::run_round(int repetitions_each) {
  for (std::size_t i = 0; i < jobs_.size(); ++i) measure(i, repetitions_each);
}

void Runs::measure(std::size_t index, int repetitions_each) {
  const Job& job = jobs_[index];
  wait_between();
  measure_limits(job.threads);
  if (console_.stop.stop_requested()) throw Cancelled();
  if (progress_)
    console_.err << fmt::format("bench: {}/{} {} ...\n", index + 1, jobs_.size(), describe(job));
  Arguments arguments = flags_.worker_arguments(job, repetitions_each);
  arguments.insert(arguments.begin(), "bench");
  const MemoryGroup group;
  const ChildResult run = run_self(arguments, group.join_file(), console_.stop);
  if (console_.stop.stop_requested()) throw Cancelled();
  if (run.exit_code != kDone) {
    throw Error({.what = reason_of(run), .where = describe(job), .expected = {}, .fix = {}});
  }
  const Result result = result_from_json(nlohmann::json::parse(run.out));
  const std::uint64_t peak = group.peak().value_or(run.peak_resident);
  if (index == rows_.size()) {
    rows_.push_back({.job = job,
                     .result = result,
                     .time = utc_time(std::chrono::system_clock::now()),
                     .peak_memory = peak});
  } else {
    rows_[index].result.add(result);
    rows_[index].peak_memory = std::max(rows_[index].peak_memory, peak);
  }
  if (progress_)
    console_.err << fmt::format("bench:   {:.2f} t/s\n", median(rows_[index].speeds()));
}

void Runs::wait_between() {
  if (!first_ && flags_.delay > 0) {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any never;
    static_cast<void>(never.wait_for(
        lock, console_.stop, std::chrono::duration<double>(flags_.delay), [] { return false; }));
  }
  first_ = false;
}

void Runs::measure_limits(int threads) {
  const auto now = std::chrono::steady_clock::now();
  const auto known = limits_.find(threads);
  if (known != limits_.end() && now - known->second.last < kLimitsHold) return;
  ThreadPool pool(threads);
  Measured& m = limits_[threads];
  m.last = now;
  m.best = {
      .dram_read_bytes = std::max(m.best.dram_read_bytes, kernels::measure_dram_read_gbps(pool)),
      .float_operations = std::max(m.best.float_operations, kernels::measure_fma_gflops(pool)),
      .integer_operations =
          std::max(m.best.integer_operations, kernels::measure_integer_gops(pool))};
}

std::vector<Row> Runs::rows() const {
  std::vector<Row> rows = rows_;
  for (Row& row : rows) row.limits = limits_.at(row.job.threads).best;
  return rows;
}

bool compare_tokens(std::vector<Row>& rows) {
  bool all = true;
  for (Row& row : rows) {
    const auto first = std::ranges::find_if(rows, [&](const Row& other) {
      return other.job.model == row.job.model && other.job.test == row.job.test;
    });
    row.same_tokens = row.result.repeats && row.result.token_hash == first->result.token_hash;
    all = all && row.same_tokens;
  }
  return all;
}

}  // namespace switchyard::cli::bench
