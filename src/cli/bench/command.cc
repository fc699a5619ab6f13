// switchyard bench: how fast, against what the machine allows, in how much memory - and that the
// tokens stayed the same. Its flags, tests and columns are those of llama-bench where that has
// them.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "switchyard/error.h"
#include "switchyard/tokenizer.h"

#include "cli/bench/flags.h"
#include "cli/bench/runs.h"
#include "cli/bench/worker.h"
#include "cli/parse.h"
#include "cli/plan_table.h"

namespace switchyard::cli {
namespace bench {
namespace {

int count_text_tokens(FileSystem& fs, const std::string& model, const std::string& text) {
  if (text.empty()) return 0;
  const std::size_t count = Tokenizer::load(fs, model).encode(text).size();
  if (count == 0) {
    throw Error(
        {.what = "the text has no tokens", .where = "--prompt", .expected = "a text", .fix = {}});
  }
  return static_cast<int>(count);
}

// What each job needs of memory; the test does not matter, but for its length.
std::vector<Job> distinct_openings(const std::vector<Job>& jobs) {
  std::vector<Job> openings;
  for (Job job : jobs) {
    job.threads = 0;
    job.test = {.depth = job.test.context()};
    if (std::ranges::find(openings, job) == openings.end()) openings.push_back(std::move(job));
  }
  return openings;
}

// Refuses now what would be refused after an hour of measuring.
void check(const Flags& flags, const std::vector<Job>& jobs, Console& console) {
  std::string said;
  for (const Job& job : distinct_openings(jobs)) {
    const ModelFlags model = flags.model_flags(job);
    const runtime::ModelOptions options = model.options_for_model(console.files);
    static_cast<void>(runtime::plan_model(console.files, model.model, options));
    if (said != model.model) model.say_experts_per_token(console, options);
    said = model.model;
  }
}

void print_plans(const Flags& flags, const std::vector<Job>& jobs, PlanFormat format,
                 Console& console) {
  auto list = nlohmann::ordered_json::array();
  for (const Job& job : distinct_openings(jobs)) {
    const ModelFlags model = flags.model_flags(job);
    const runtime::ModelOptions options = model.options_for_model(console.files);
    const runtime::MemoryPlan plan = runtime::plan_model(console.files, model.model, options);
    if (format == PlanFormat::json) {
      nlohmann::ordered_json entry{{"model", job.model}, {"budget", job.budget}};
      entry.update(cli::to_json(plan, options.memory_budget));
      list.push_back(std::move(entry));
    } else {
      console.out << job.model << (job.budget.empty() ? "" : " in " + job.budget) << '\n'
                  << render(plan, options.memory_budget, format) << '\n';
    }
  }
  if (format == PlanFormat::json) console.out << list.dump(2) << '\n';
}

}  // namespace
}  // namespace bench

int run_bench(const Arguments& arguments, Console& console) {
  using bench::Format;
  if (!arguments.empty() && arguments.front() == "--worker")
    return bench::run_worker(arguments, console);
  bench::Flags flags;
  auto app = make_app(
      "bench",
      "Measures prompt and generation speed: every combination of the lists given is a row.",
      "switchyard bench models/tiny-stories-moe -p 64,128 -n 64 -d 0,128 -t 1,2\n"
      "  switchyard bench models/tiny-stories-moe -p 0 -n 64 --budgets 100%,50%,25%,10% -o md");
  flags.add_to(*app);
  if (!parse(*app, arguments, console)) return kDone;

  const Format format = flags.output();
  const std::vector<bench::Job> jobs = flags.jobs(console.files, [&](const std::string& model) {
    return bench::count_text_tokens(console.files, model, flags.prompt_text());
  });
  if (!flags.plan().empty()) {
    bench::print_plans(flags, jobs, parse_plan_format(flags.plan()), console);
    return kDone;
  }
  bench::check(flags, jobs, console);
  const bool for_people = format == Format::text || format == Format::markdown;
  bench::Runs runs(flags, jobs, for_people, console);
  const auto print = [&] {
    std::vector<bench::Row> rows = runs.rows();
    const bool same = bench::compare_tokens(rows);
    console.out << bench::render(rows, format, flags.with_budgets());
    if (!same) {
      console.err << "switchyard: error: the tokens differ where they must not; please report "
                     "this\n";
    }
    return same;
  };
  try {
    runs.run();
  } catch (...) {  // a stop, or a job that failed: what was measured before is worth showing
    print();
    throw;
  }
  return print() ? kDone : kFailed;
}

}  // namespace switchyard::cli
