// switchyard run: continue a text.
#include <fmt/format.h>
#include <fstream>
#include <iostream>
#include <iterator>

#include "switchyard/error.h"

#include "base/byte_size.h"
#include "cli/model_flags.h"
#include "cli/parse.h"
#include "cli/sampling_flags.h"

namespace switchyard::cli {
namespace {

void print_summary(const runtime::Model& model, const api::Result& result, std::ostream& err) {
  const experts::CacheStats stats = model.expert_stats();
  const auto tokens = static_cast<double>(result.tokens.size());
  err << fmt::format(
      "prompt    {} tokens, {:.1f} tokens/s, first token after {:.3f} s\n", result.prompt_tokens,
      static_cast<double>(result.prompt_tokens) / result.prompt_seconds, result.prompt_seconds);
  if (result.tokens.size() > 1) {
    err << fmt::format("generated {} tokens, {:.1f} tokens/s\n", result.tokens.size(),
                       (tokens - 1) / result.generate_seconds);
  }
  err << "memory    " << format_bytes(model.ledger().peak()) << " booked at most\n";
  if (model.expert_bytes() == 0) return;
  const double asked = static_cast<double>(stats.hits + stats.late_hits + stats.misses);
  const double processed = tokens + static_cast<double>(result.prompt_tokens);
  err << fmt::format(
      "experts   {} of {} in slots, {:.1f} % hits, {} read ({} a token)\n",
      format_bytes(model.expert_slot_bytes()), format_bytes(model.expert_bytes()),
      asked > 0 ? 100.0 * static_cast<double>(stats.hits) / asked : 100.0,
      format_bytes(stats.bytes_read),
      format_bytes(static_cast<std::uint64_t>(static_cast<double>(stats.bytes_read) / processed)));
}

std::string read_prompt(const std::string& text, const std::string& file, Console& console) {
  if (file.empty()) return text;
  if (file == "-") return {std::istreambuf_iterator<char>(console.in), {}};
  return read_file(console.files, file, std::uint64_t{1} << 28);
}

}  // namespace

int run_run(const Arguments& arguments, Console& console) {
  ModelFlags model_flags;
  api::Request request;
  std::string prompt_file;
  bool quiet = false;
  bool hide_prompt = false;
  auto app = make_app(
      "run", "Continues a text with a model, in as little memory as you say.",
      "switchyard run models/tiny-stories-moe -p \"Once upon a time\" -n 100 --mem-budget 25%");
  model_flags.add_to(*app);
  auto* prompt = app->add_option("-p,--prompt", request.prompt, "text to continue");
  app->add_option("-f,--file", prompt_file, "file with the text to continue, - for standard input")
      ->excludes(prompt);
  app->add_option("-n,--n-predict", request.max_tokens, "tokens to generate")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app->add_flag("--ignore-eos", request.ignore_eos, "do not end at an end-of-text token");
  app->add_option("--stop", request.stop, "text that ends the answer (may be given several times)")
      ->allow_extra_args(false);
  app->add_flag("--no-display-prompt", hide_prompt, "print only what is new");
  app->add_flag("-q,--quiet", quiet, "no figures after the text");
  add_sampling_flags(*app, request.sampling);
  if (!parse(*app, arguments, console)) return kDone;
  if (model_flags.print_plan(console)) return kDone;
  validate(request.sampling);
  request.prompt = read_prompt(request.prompt, prompt_file, console);

  Tokenizer tokenizer = Tokenizer::load(console.files, model_flags.model);
  runtime::LocalGenerator generator(model_flags.model, model_flags.open(console),
                                    std::move(tokenizer), {.threads = model_flags.threads});
  if (!hide_prompt) console.out << request.prompt << std::flush;
  const api::Result result = generator.generate(
      request, [&](std::string_view text) { console.out << text << std::flush; }, console.stop);
  console.out << '\n';
  if (!quiet) print_summary(generator.engine().model(), result, console.err);
  return result.finish == api::FinishReason::cancelled ? kStopped : kDone;
}

}  // namespace switchyard::cli
