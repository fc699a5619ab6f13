// Runs the jobs of the bench one after the other, each in a process and, where that is allowed, in
// a control group of its own, so that one job's memory is not another's.
#pragma once

#include <chrono>
#include <map>
#include <vector>

#include "cli/bench/flags.h"
#include "cli/bench/row.h"
#include "cli/console.h"

namespace switchyard::cli::bench {

class Runs {
 public:
  // `progress`: say on stderr what is being measured.
  Runs(const Flags& flags, std::vector<Job> jobs, bool progress, Console& console);

  // Throws Error or Cancelled; rows() then has what was finished.
  void run();
  std::vector<Row> rows() const;

 private:
  void run_round(int repetitions_each);
  void measure(std::size_t index, int repetitions_each);
  void wait_between();
  void measure_limits(int threads);

  const Flags& flags_;
  std::vector<Job> jobs_;
  bool progress_;
  Console& console_;
  bool first_ = true;
  std::vector<Row> rows_;  // of the first jobs; without their limits

  // What the machine can do is the best of all times it was measured.
  struct Measured {
    Limits best;
    std::chrono::steady_clock::time_point last{};
  };
  std::map<int, Measured> limits_;  // by threads as they were asked for
};

// Sets same_tokens of every row: whether its tokens are those of the first row with the same model
// and test, in every repetition. Returns whether all are.
bool compare_tokens(std::vector<Row>& rows);

}  // namespace switchyard::cli::bench
