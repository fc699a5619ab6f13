#include "cli/bench/worker.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "switchyard/tokenizer.h"

#include "cli/bench/measure.h"
#include "cli/model_flags.h"
#include "cli/parse.h"

namespace switchyard::cli::bench {
namespace {

// The same "random" ids for every job and machine.
std::vector<std::int32_t> arbitrary_tokens(std::size_t count, int vocab) {
  std::vector<std::int32_t> tokens(count);
  std::uint32_t state = 1;
  for (std::int32_t& t : tokens) {
    state = state * 1664525U + 1013904223U;
    t = static_cast<std::int32_t>((state >> 8) % static_cast<std::uint32_t>(vocab));
  }
  return tokens;
}

std::vector<std::int32_t> repeated(const std::vector<std::int32_t>& tokens, std::size_t count) {
  std::vector<std::int32_t> result(count);
  for (std::size_t i = 0; i < count; ++i) result[i] = tokens[i % tokens.size()];
  return result;
}

}  // namespace

int run_worker(const Arguments& arguments, Console& console) {
  ModelFlags model_flags;
  Test test;
  MeasureOptions options{.stop = console.stop};
  std::string text;
  bool worker = false;
  bool cold = false;
  CLI::App app("One test of the bench, in a process of its own", "switchyard bench");
  model_flags.add_to(app);
  app.add_flag("--worker", worker);
  app.add_option("--n-prompt", test.prompt)->check(CLI::NonNegativeNumber);
  app.add_option("--n-gen", test.generate)->check(CLI::NonNegativeNumber);
  app.add_option("--n-depth", test.depth)->check(CLI::NonNegativeNumber);
  app.add_option("--repetitions", options.repetitions)->check(CLI::PositiveNumber);
  app.add_option("--prompt", text);
  app.add_flag("--no-warmup", cold);
  if (!parse(app, arguments, console)) return kDone;
  options.warm_up = !cold;

  runtime::Engine engine(model_flags.open(console), {.threads = model_flags.threads});
  const auto count = static_cast<std::size_t>(std::max(test.depth + test.prompt, 1));
  const std::vector<std::int32_t> tokens =
      text.empty()
          ? arbitrary_tokens(count, engine.model().config().vocab)
          : repeated(Tokenizer::load(console.files, model_flags.model).encode(text), count);
  console.out << to_json(measure(engine, test, tokens, options)).dump() << '\n';
  return kDone;
}

}  // namespace switchyard::cli::bench
