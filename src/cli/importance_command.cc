// switchyard importance: what the columns of each matrix are multiplied with in a text.
#include <cmath>
#include <filesystem>
#include <fmt/format.h>

#include "base/clock.h"
#include "base/progress.h"
#include "cli/importance_remarks.h"
#include "cli/model_flags.h"
#include "cli/parse.h"
#include "cli/perplexity.h"
#include "cli/text_tokens.h"
#include "formats/gguf/importance_collector.h"

namespace switchyard::cli {

int run_importance(const Arguments& arguments, Console& console) {
  ModelFlags model_flags;
  TextTokensFlags text_flags;
  PerplexityOptions options{.window = 512};
  std::string out;
  auto app = make_app(
      "importance",
      "Runs a text through a model and writes how large the inputs of every matrix are, column by "
      "column (an imatrix): convert --importance rounds weights so that the columns that matter "
      "lose least. Use text like that which the model will see, from the model as it is before it "
      "is quantised.",
      "switchyard importance models/tiny-stories-moe --text stories.txt -o importance.gguf");
  model_flags.add_to(*app);
  text_flags.add_to(*app, "--text");
  app->add_option("-o,--out", out, "where to write it (GGUF, as other programs read it, too)")
      ->required();
  app->add_option("--window", options.window,
                  "tokens that are read with one another as context, 0: the model's context")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  if (!parse(*app, arguments, console)) return kDone;

  const TextTokens text = text_flags.read(console, model_flags.model);
  runtime::Engine engine(model_flags.open(console), {.threads = model_flags.threads});
  const SteadyClock clock;
  ProgressMeter meter(console.err, clock,
                      {.title = "importance",
                       .total = text.tokens.size(),
                       .unit = "tokens",
                       .terminal = console.err_is_terminal});
  ImportanceCollector collector;
  options.stop = console.stop;
  options.on_input = [&](const runtime::InputRecord& r) {
    collector.add(r.weight, r.x, r.rows, r.columns, r.stride);
  };
  options.progress = [&](std::size_t done, std::size_t, double mean_nll) {
    meter.field("perplexity", std::exp(mean_nll));
    meter.update(done);
  };
  const Perplexity p = measure_perplexity(engine, text.tokens, options);
  meter.finish();

  const ModelConfig& config = engine.model().config();
  ImportanceData data = collector.data(config);
  data.where = out;
  data.datasets = {std::filesystem::path(text_flags.file).filename().string()};
  data.chunks = static_cast<std::uint32_t>(p.windows);
  data.chunk_size = static_cast<std::uint32_t>(p.window);
  write_importance(console.files, out, data);
  const ColumnImportance importance(std::move(data), config);
  console.out << fmt::format("wrote {}: {} matrices, {} tokens, perplexity {:.3f}\n", out,
                             importance.coverage().matrices, p.predicted(), std::exp(p.mean()));
  for (const std::string& line : importance_remarks(importance)) console.err << line << '\n';
  return kDone;
}

}  // namespace switchyard::cli
