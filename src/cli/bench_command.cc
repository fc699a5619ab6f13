// switchyard bench: how fast, against what the machine allows, in how much memory - and that the
// tokens stayed the same.
//
// Every budget runs in a process of its own, in a control group of its own where that is allowed,
// so that one run's memory is not another's.
#include <algorithm>
#include <fmt/format.h>
#include <iostream>
#include <nlohmann/json.hpp>

#include "switchyard/error.h"

#include "base/byte_size.h"
#include "base/table.h"
#include "cli/bench_measure.h"
#include "cli/child_process.h"
#include "cli/memory_group.h"
#include "cli/model_flags.h"
#include "cli/parse.h"
#include "kernels/machine_limits.h"

namespace switchyard::cli {
namespace {

struct BenchFlags {
  ModelFlags model;
  int prompt = 512;
  std::string prompt_text;
  int generate = 128;
  int repetitions = 5;
  std::string format = "text";
  std::string budgets;
  bool worker = false;
};

// The same "random" ids for every budget and machine.
std::vector<std::int32_t> arbitrary_tokens(int count, int vocab) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  std::uint32_t state = 1;
  for (std::int32_t& t : tokens) {
    state = state * 1664525U + 1013904223U;
    t = static_cast<std::int32_t>((state >> 8) % static_cast<std::uint32_t>(vocab));
  }
  return tokens;
}

// One budget, in this process; prints JSON.
int run_worker(const BenchFlags& flags, Console& console) {
  const ModelConfig config = read_model_config(console.files, flags.model.model);
  std::vector<std::int32_t> prompt =
      flags.prompt_text.empty()
          ? arbitrary_tokens(
                std::min(flags.prompt, std::max(1, config.context - flags.generate - 1)),
                config.vocab)
          : Tokenizer::load(console.files, flags.model.model).encode(flags.prompt_text);
  ModelFlags model_flags = flags.model;
  if (model_flags.context == 0) {
    model_flags.context =
        std::min(config.context, static_cast<int>(prompt.size()) + flags.generate + 1);
  }
  runtime::Engine engine(model_flags.open(console), {.threads = flags.model.threads});
  console.out
      << to_json(measure(engine, prompt, flags.generate, flags.repetitions, console.stop)).dump()
      << '\n';
  return kDone;
}

BenchResult run_budget(const Arguments& arguments, const std::string& budget) {
  Arguments child = arguments;
  child.insert(child.begin(), "bench");
  child.emplace_back("--worker");
  if (!budget.empty()) {
    child.emplace_back("--mem-budget");
    child.push_back(budget);
  }
  MemoryGroup group;
  const ChildResult run = run_self(child, group.join_file());
  if (run.exit_code != kDone) {
    std::string reason = run.err;
    while (!reason.empty() && reason.back() == '\n') reason.pop_back();
    constexpr std::string_view kPrefix = "switchyard: error: ";
    if (reason.starts_with(kPrefix)) reason.erase(0, kPrefix.size());
    throw Error({.what = reason.empty() ? "the run ended with code " + std::to_string(run.exit_code)
                                        : reason,
                 .where = "budget " + (budget.empty() ? std::string("unlimited") : budget)});
  }
  BenchResult result = bench_result_from_json(nlohmann::json::parse(run.out));
  result.peak_memory = group.peak().value_or(run.peak_resident);
  return result;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// The arguments without --budgets and its value: what a worker gets.
Arguments without_budgets(const Arguments& arguments) {
  Arguments kept;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--budgets") {
      ++i;
    } else if (!arguments[i].starts_with("--budgets=")) {
      kept.push_back(arguments[i]);
    }
  }
  return kept;
}

}  // namespace

int run_bench(const Arguments& arguments, Console& console) {
  BenchFlags flags;
  auto app =
      make_app("bench", "Measures prompt and generation speed under one or more memory budgets.",
               "switchyard bench models/tiny-stories-moe -p 64 -n 128 --budgets 100%,50%,25%,10%");
  flags.model.add_to(*app);
  app->add_option("-p,--n-prompt", flags.prompt, "prompt tokens (arbitrary ids)")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app->add_option("--prompt", flags.prompt_text, "a text as prompt instead");
  app->add_option("-n,--n-gen", flags.generate, "tokens to generate, always the best one")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app->add_option("-r,--repetitions", flags.repetitions, "rounds; medians are shown")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app->add_option("-o,--output", flags.format, "text, md, csv or json")->capture_default_str();
  app->add_option("--budgets", flags.budgets, "several --mem-budget with commas between them");
  app->add_flag("--worker", flags.worker)
      ->group("");  // one budget in this process, for the bench itself
  if (!parse(*app, arguments, console)) return kDone;
  if (flags.worker) return run_worker(flags, console);

  const TableFormat format = parse_table_format(flags.format, "--output");
  std::vector<std::string> budgets = split(flags.budgets);
  const bool one = budgets.empty();
  if (one) budgets.push_back(flags.model.memory_budget);
  if (flags.model.flops_per_token > 0 || !flags.model.experts_per_token.empty()) {
    // The workers' words are not shown; this says which K they use, and stops where it cannot be.
    static_cast<void>(flags.model.open(console));
  }
  double limit = 0;
  {
    ThreadPool threads(flags.model.threads);
    limit = kernels::measure_dram_read_gbps(threads);
  }
  Table table{{"budget"},
              {"expert slots", "expert_slots"},
              {"peak memory", "peak_memory"},
              {"hit ratio", "hit_ratio"},
              {"read/token", "read_bytes_per_token"},
              {"prompt tok/s", "prompt_tokens_per_second"},
              {"decode tok/s", "decode_tokens_per_second"},
              {"decode GB/s", "decode_gigabytes_per_second"},
              {"of DRAM", "share_of_dram"},
              {"token hash", "token_hash"},
              {"same tokens", "same_tokens"}};
  std::optional<std::uint64_t> first_hash;
  bool all_same = true;
  const Arguments base = without_budgets(arguments);
  for (const std::string& budget : budgets) {
    if (console.stop.stop_requested()) throw Cancelled();
    if (format == TableFormat::text)
      console.err << "bench: budget " << (budget.empty() ? "unlimited" : budget) << " ...\n";
    const BenchResult r = run_budget(base, one ? std::string() : budget);
    if (!first_hash) first_hash = r.token_hash;
    const bool same = r.token_hash == *first_hash;
    all_same = all_same && same;
    table.add_row({Cell(budget.empty() ? "unlimited" : budget), Cell::bytes(r.expert_slots),
                   Cell::bytes(r.peak_memory), Cell::percent(r.hit_ratio),
                   Cell::bytes(static_cast<std::uint64_t>(r.read_bytes_per_token)),
                   Cell::number(r.prompt_tokens_per_second, 1),
                   Cell::number(r.decode_tokens_per_second, 1),
                   Cell::number(r.decode_gigabytes_per_second, 2),
                   Cell::percent(r.decode_gigabytes_per_second / limit),
                   Cell(fmt::format("{:016x}", r.token_hash)), Cell::yes_no(same)});
  }
  console.out << table.render(format);
  if (format == TableFormat::text) {
    console.out << fmt::format(
        "DRAM read in this run: {:.1f} GB/s. A model smaller than the caches can exceed it.\n",
        limit);
  }
  if (all_same) return kDone;
  console.err << "switchyard: error: the tokens differ between budgets; please report this\n";
  return kFailed;
}

}  // namespace switchyard::cli
