// switchyard eval: perplexity of a model on a text.
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/progress.h"
#include "cli/model_flags.h"
#include "cli/parse.h"
#include "cli/perplexity.h"
#include "formats/data/source.h"
#include "formats/data/text.h"

namespace switchyard::cli {
namespace {

// Words as WikiText counts them: what stands between spaces, and one end of a line each.
std::size_t count_words(const std::string& text) {
  std::size_t words = 0;
  bool inside = false;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!space && !inside) ++words;
    if (c == '\n') ++words;
    inside = !space;
  }
  return words;
}

}  // namespace

int run_eval(const Arguments& arguments, Console& console) {
  ModelFlags model_flags;
  PerplexityOptions options;
  std::string file;
  std::size_t most_tokens = 0;
  bool json = false;
  auto app =
      make_app("eval", "Measures the perplexity of a model on a text.",
               "switchyard eval models/tiny-stories-moe --data stories.txt --mem-budget 25%");
  model_flags.add_to(*app);
  app->add_option("--data", file, "text file (.gz and .xz too), or a name below $SWITCHYARD_DATA")
      ->required();
  app->add_option("--window", options.window, "tokens a window, 0: the context")
      ->capture_default_str();
  app->add_option("--stride", options.stride, "tokens a window moves on, 0: the whole window")
      ->capture_default_str();
  app->add_option("--max-tokens", most_tokens, "use only so many tokens from the start, 0: all")
      ->capture_default_str();
  app->add_flag("--json", json, "machine-readable result");
  if (!parse(*app, arguments, console)) return kDone;
  if (model_flags.print_plan(console)) return kDone;

  const std::string text = data::read_text(console.files, data::find_data(console.files, file));
  const Tokenizer tokenizer = Tokenizer::load(console.files, model_flags.model);
  std::vector<std::int32_t> tokens = tokenizer.encode(text);
  const std::size_t all_tokens = tokens.size();
  if (most_tokens > 0) tokens.resize(std::min(tokens.size(), most_tokens));
  runtime::Engine engine(model_flags.open(console), {.threads = model_flags.threads});
  options.stop = console.stop;
  const SteadyClock clock;
  ProgressMeter meter(console.err, clock,
                      {.title = "eval",
                       .total = tokens.size(),
                       .unit = "tokens",
                       .terminal = console.err_is_terminal});
  options.progress = [&](std::size_t done, std::size_t, double mean_nll) {
    meter.field("perplexity", std::exp(mean_nll));
    meter.update(done);
  };
  const Perplexity p = measure_perplexity(engine, tokens, options);
  meter.finish();

  // Figures a token depend on the tokenizer; a byte and a word are the same for every model.
  const double share = static_cast<double>(tokens.size()) / static_cast<double>(all_tokens);
  const double total = p.mean() * static_cast<double>(tokens.size());
  const double bits_per_byte = total / std::log(2.0) / (static_cast<double>(text.size()) * share);
  const double word_perplexity = std::exp(total / (static_cast<double>(count_words(text)) * share));
  if (json) {
    console.out << nlohmann::json{{"tokens", p.predicted},
                                  {"nll", p.mean()},
                                  {"perplexity", std::exp(p.mean())},
                                  {"word_perplexity", word_perplexity},
                                  {"bits_per_byte", bits_per_byte}}
                       .dump()
                << '\n';
    return kDone;
  }
  console.out << fmt::format(
      "tokens predicted  {}\nnll per token     {:.4f} nats\nperplexity        {:.3f}\n"
      "word perplexity   {:.2f}\nbits per byte     {:.4f}\n",
      p.predicted, p.mean(), std::exp(p.mean()), word_perplexity, bits_per_byte);
  return kDone;
}

}  // namespace switchyard::cli
