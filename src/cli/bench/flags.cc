#include "cli/bench/flags.h"

#include <algorithm>
#include <fmt/format.h>

#include "switchyard/error.h"

#include "cli/bench/number_list.h"

namespace switchyard::cli::bench {
namespace {

// One or more lists: a comma or the flag again.
CLI::Option* add_list(CLI::App& app, const std::string& names, std::vector<std::string>& lists,
                      const std::string& what) {
  return app.add_option(names, lists, what)->allow_extra_args(false);
}

std::vector<int> numbers_or(const std::vector<std::string>& lists, std::vector<int> otherwise,
                            std::string_view flag, int least) {
  return lists.empty() ? otherwise : parse_number_list(lists, flag, least);
}

// A path may hold a comma itself.
std::vector<std::string> model_paths(FileSystem& fs, const std::vector<std::string>& lists) {
  std::vector<std::string> paths;
  for (const std::string& list : lists) {
    if (fs.exists(list)) {
      paths.push_back(list);
      continue;
    }
    for (std::string& path : split_list(list)) paths.push_back(std::move(path));
  }
  return paths;
}

}  // namespace

void Flags::add_to(CLI::App& app) {
  model_.add_to(app);
  // What may be a list here.
  for (const char* name : {"--model", "--threads", "--batch-size", "--kernels"}) {
    app.remove_option(app.get_option(name));
  }
  app.get_option("--ctx-size")->description("longest sequence in tokens, 0: what each test needs");
  for (CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    if (name != "--help" && name != "--plan" && name != "--mem-budget" && name != "--ctx-size")
      forwarded_.push_back(option);
  }
  app.add_option("-m,--model,MODEL", models_,
                 "model directories or GGUF files, one or more, also with commas")
      ->required();
  add_list(app, "-p,--n-prompt", prompts_,
           "prompt tokens of each prompt test, 0 for none [512]. Lists here and below: 128,512 or "
           "1-4 or 128-512+128 or 1-8*2");
  add_list(app, "-n,--n-gen", generate_, "tokens of each generation test, 0 for none [128]");
  add_list(app, "--pg", both_, "PROMPT,GENERATE: a test of both together (-pg)");
  add_list(app, "-d,--n-depth", depths_, "tokens in the cache before each test begins [0]");
  app.add_option("--prompt", prompt_text_,
                 "tokens of this text instead of arbitrary ones, over and over; -p and, for "
                 "generation, -d are then its length if they are not given");
  add_list(app, "-t,--threads", threads_, "threads, 0: one per core [0]");
  add_list(app, "-b,--batch-size", batches_, "most tokens computed at once [512]");
  add_list(app, "--kernels", kernels_,
           "instruction sets: auto, scalar, avx2, avx512, avx512-vnni [auto]");
  app.add_option("--budgets", budgets_, "several --mem-budget with commas between them");
  app.add_option("-r,--repetitions", repetitions, "repetitions of each test")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--delay", delay, "seconds to wait between tests")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
  app.add_flag("--warmup,!--no-warmup", warm_up_, "run each test once before it is measured [yes]");
  app.add_flag("--interleave", interleave,
               "one repetition of every row, then the next of every row, each in a new process: a "
               "machine that others use too is then the same to all");
  app.add_option("-o,--output", format_, "text, md, csv, json, jsonl or sql")
      ->capture_default_str();
}

std::vector<Test> Flags::tests(int text_tokens) const {
  const bool text = text_tokens > 0;
  const std::vector<int> none{0};
  const auto prompts = numbers_or(prompts_, {text ? text_tokens : 512}, "--n-prompt", 0);
  const auto generate = numbers_or(generate_, {128}, "--n-gen", 0);
  const auto prompt_depths = numbers_or(depths_, none, "--n-depth", 0);
  const auto generate_depths = numbers_or(depths_, {text ? text_tokens : 0}, "--n-depth", 0);
  std::vector<Test> tests;
  for (const int depth : prompt_depths) {
    for (const int p : prompts)
      if (p > 0) tests.push_back({.prompt = p, .depth = depth});
  }
  for (const int depth : generate_depths) {
    for (const int n : generate)
      if (n > 0) tests.push_back({.generate = n, .depth = depth});
  }
  for (const std::string& pair : both_) {
    const std::vector<int> numbers = parse_number_list({pair}, "-pg", 1);
    if (numbers.size() != 2) {
      throw Error({.what = fmt::format("'{}' has {} numbers", pair, numbers.size()),
                   .where = "-pg",
                   .expected = "two: prompt tokens and tokens to generate (512,128)",
                   .fix = {}});
    }
    for (const int depth : prompt_depths)
      tests.push_back({.prompt = numbers[0], .generate = numbers[1], .depth = depth});
  }
  if (tests.empty()) {
    throw Error({.what = "there is nothing to measure",
                 .where = "-p, -n, -pg",
                 .expected = "at least one that is not 0",
                 .fix = {}});
  }
  return tests;
}

std::vector<Job> Flags::jobs(
    FileSystem& fs, const std::function<int(const std::string& model)>& text_tokens) const {
  std::vector<std::string> budgets = split_list(budgets_);
  if (budgets.empty()) budgets.push_back(model_.memory_budget);
  std::vector<std::string> kernels;
  for (const std::string& list : kernels_) {
    for (std::string& name : split_list(list)) kernels.push_back(std::move(name));
  }
  if (kernels.empty()) kernels.emplace_back("auto");
  const std::vector<int> threads = numbers_or(threads_, {0}, "--threads", 0);
  const std::vector<int> batches = numbers_or(batches_, {model_.batch}, "--batch-size", 1);
  std::vector<Job> jobs;
  for (const std::string& model : model_paths(fs, models_)) {
    const std::vector<Test> of_model = tests(text_tokens(model));
    for (const std::string& budget : budgets)
      for (const std::string& kernel : kernels)
        for (const int t : threads)
          for (const int b : batches)
            for (const Test& test : of_model) jobs.push_back({model, budget, kernel, t, b, test});
  }
  return jobs;
}

ModelFlags Flags::model_flags(const Job& job) const {
  ModelFlags flags = model_;
  flags.model = job.model;
  flags.memory_budget = job.budget;
  flags.kernels = job.kernels;
  flags.threads = job.threads;
  flags.batch = job.batch;
  if (flags.context == 0) flags.context = job.test.context();
  return flags;
}

Arguments Flags::worker_arguments(const Job& job, int repetitions_each) const {
  const ModelFlags flags = model_flags(job);
  Arguments arguments{"--worker"};
  const auto add = [&](std::string_view flag, const auto& value) {
    arguments.push_back(fmt::format("{}={}", flag, value));
  };
  add("--model", flags.model);
  if (!flags.memory_budget.empty()) add("--mem-budget", flags.memory_budget);
  add("--kernels", flags.kernels);
  add("--threads", flags.threads);
  add("--batch-size", flags.batch);
  add("--ctx-size", flags.context);
  for (const CLI::Option* option : forwarded_) {
    for (const std::string& value : option->results()) add(option->get_name(), value);
  }
  add("--n-prompt", job.test.prompt);
  add("--n-gen", job.test.generate);
  add("--n-depth", job.test.depth);
  add("--repetitions", repetitions_each);
  if (!prompt_text_.empty()) add("--prompt", prompt_text_);
  if (!warm_up_) arguments.emplace_back("--no-warmup");
  return arguments;
}

}  // namespace switchyard::cli::bench
