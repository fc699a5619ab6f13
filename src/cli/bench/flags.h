// What `switchyard bench` is asked for: lists whose combinations are its rows.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "cli/bench/output.h"
#include "cli/bench/row.h"
#include "cli/command.h"
#include "cli/model_flags.h"

namespace switchyard::cli::bench {

class Flags {
 public:
  void add_to(CLI::App& app);

  // Every combination, models outermost and tests innermost. `text_tokens`: how many tokens
  // --prompt has for a model. Throws Error naming a flag.
  std::vector<Job> jobs(FileSystem& fs,
                        const std::function<int(const std::string& model)>& text_tokens) const;
  // The flags that open the model of a job.
  ModelFlags model_flags(const Job& job) const;
  // The command line of the process that measures a job, without the command's name.
  Arguments worker_arguments(const Job& job, int repetitions_each) const;

  Format output() const { return parse_format(format_); }
  bool with_budgets() const { return !budgets_.empty() || !model_.memory_budget.empty(); }
  const std::string& prompt_text() const { return prompt_text_; }
  const std::string& plan() const { return model_.plan; }

  int repetitions = 5;
  double delay = 0;  // seconds before each job but the first
  bool interleave = false;

 private:
  std::vector<Test> tests(int text_tokens) const;

  ModelFlags model_;
  std::vector<CLI::Option*> forwarded_;  // options of a model that are the same in every job
  std::vector<std::string> models_, prompts_, generate_, both_, depths_, threads_, batches_,
      kernels_;
  std::string budgets_;
  std::string prompt_text_;
  std::string format_ = "text";
  bool warm_up_ = true;
};

}  // namespace switchyard::cli::bench
