// switchyard eval: perplexity of a model on a text, and its distance from a reference.
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>
#include <vector>

#include "switchyard/error.h"
#include "switchyard/tokenizer.h"

#include "base/clock.h"
#include "base/progress.h"
#include "base/table.h"
#include "cli/model_flags.h"
#include "cli/parse.h"
#include "cli/perplexity.h"
#include "cli/text_tokens.h"

namespace switchyard::cli {
namespace {

// One result, under its key for machines.
struct Row {
  std::string title;
  std::string key;
  Cell value;
  std::string error = {};  // what people see behind the value
  Cell error_value = {};
};

Row estimate(const std::string& title, const std::string& key, const Estimate& e, int decimals,
             const std::string& unit = {}) {
  return {title, key, Cell::number(e.value, decimals),
          fmt::format(" ± {:.{}f}{}", e.error, decimals, unit), Cell::number(e.error, decimals)};
}

std::vector<Row> text_rows(const TextTokens& text, const Perplexity& p) {
  // Figures a token depend on the tokenizer; a byte and a word are the same for every model.
  const double total = p.mean() * static_cast<double>(text.tokens.size());
  return {
      {"tokens predicted", "tokens", Cell(static_cast<std::uint64_t>(p.predicted()))},
      estimate("nll per token, nats", "nll", p.nll.estimate(), 4),
      estimate("perplexity", "perplexity", exponential(p.nll.estimate()), 3),
      {"word perplexity", "word_perplexity", Cell::number(std::exp(total / text.words()), 2)},
      {"bits per byte", "bits_per_byte", Cell::number(total / std::log(2.0) / text.bytes(), 4)}};
}

std::vector<Row> divergence_rows(const Divergence& d) {
  std::vector<Row> rows = {
      estimate("perplexity of the reference", "reference_perplexity", d.reference_perplexity(), 3),
      estimate("perplexity - reference", "perplexity_difference", d.perplexity_difference(), 4),
      estimate("ln(perplexity / reference)", "log_perplexity_ratio", d.log_ratio(), 5),
      estimate("KL divergence, mean, nats", "kl", d.kl(), 6)};
  rows[1].error += fmt::format(", 95 % interval {:.4f} to {:.4f}", d.perplexity_difference().low(),
                               d.perplexity_difference().high());
  for (const auto& [title, key, q] :
       {std::tuple("median", "kl_median", 0.5), std::tuple("90 %", "kl_90", 0.9),
        std::tuple("99 %", "kl_99", 0.99)}) {
    rows.push_back(estimate(fmt::format("KL divergence, {}", title), key, d.kl_quantile(q), 6));
  }
  rows.push_back({"KL divergence, largest", "kl_max", Cell::number(d.largest_kl(), 6)});
  const Estimate same = d.same_top();
  rows.push_back({"same likeliest token", "same_top", Cell::percent(same.value, 2),
                  fmt::format(" ± {:.2f} %", 100 * same.error), Cell::number(same.error, 6)});
  rows.push_back(
      estimate("probability - reference", "probability_difference", d.probability_difference(), 5));
  rows.push_back(
      {"the same, root mean square", "probability_rms", Cell::number(d.probability_rms(), 5)});
  return rows;
}

// A column for each figure and one for its error, in one row of CSV or one JSON object.
std::string for_machines(const std::vector<Row>& rows, TableFormat format) {
  std::vector<Table::Column> columns;
  std::vector<Cell> cells;
  for (const Row& row : rows) {
    columns.push_back({row.key});
    cells.push_back(row.value);
    if (row.error.empty()) continue;
    columns.push_back({row.key + "_error"});
    cells.push_back(row.error_value);
  }
  Table table(columns);
  table.add_row(cells);
  if (format == TableFormat::csv) return table.render(format);
  return nlohmann::ordered_json::parse(table.render(format)).front().dump(2) + "\n";
}

std::string render(const std::vector<Row>& rows, TableFormat format) {
  if (format == TableFormat::csv || format == TableFormat::json) return for_machines(rows, format);
  if (format == TableFormat::text) {
    std::string out;
    for (const Row& row : rows) {
      out += fmt::format("{:<28}{}{}\n", row.title, row.value.shown(), row.error);
    }
    return out;
  }
  Table table({{"figure"}, {"value"}});
  for (const Row& row : rows) table.add_row({row.title, row.value.shown() + row.error});
  return table.render(format);
}

// The text must be the same tokens for both. A reference without a tokenizer is taken at its word.
void check_tokens(Console& console, const std::string& reference, const TextTokens& text) {
  if (!Tokenizer::exists(console.files, reference)) return;
  std::vector<std::int32_t> tokens = Tokenizer::load(console.files, reference).encode(text.text);
  tokens.resize(std::min(tokens.size(), text.tokens.size()));
  if (tokens == text.tokens) return;
  throw Error({.what = "the tokenizer of the reference gives other tokens for this text",
               .where = "--reference " + reference,
               .expected = "the same tokenizer as the model's",
               .fix = "compare a model with the one it was converted from"});
}

}  // namespace

int run_eval(const Arguments& arguments, Console& console) {
  ModelFlags model_flags;
  PerplexityOptions options;
  TextTokensFlags text_flags;
  std::string reference;
  std::string format = "text";
  bool json = false;
  auto app = make_app(
      "eval",
      "Measures the perplexity of a model on a text and, with --reference, how far its predictions "
      "are from another model's: the quantised one's from the original's.",
      "switchyard eval tiny-q4_k.gguf --data stories.txt --reference models/tiny-stories-moe");
  model_flags.add_to(*app);
  text_flags.add_to(*app, "--data");
  app->add_option("--reference", reference,
                  "a second model, directory or GGUF file, of the same tokenizer: KL divergence "
                  "from it, token by token; it keeps its own K, and --mem-budget is for each of "
                  "the two");
  app->add_option("--window", options.window, "tokens a window, 0: the context")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app->add_option("--stride", options.stride, "tokens a window moves on, 0: the whole window")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  auto* output =
      app->add_option("-o,--output", format, "text, md, csv or json")->capture_default_str();
  app->add_flag("--json", json, "the same as -o json")->excludes(output);
  if (!parse(*app, arguments, console)) return kDone;
  const TableFormat table_format = parse_table_format(json ? "json" : format, "--output");
  if (model_flags.print_plan(console)) return kDone;

  const TextTokens text = text_flags.read(console, model_flags.model);
  if (!reference.empty()) check_tokens(console, reference, text);
  runtime::Engine engine(model_flags.open(console), {.threads = model_flags.threads});
  std::optional<runtime::Engine> reference_engine;
  if (!reference.empty()) {
    ModelFlags flags = model_flags;
    flags.model = reference;
    flags.experts_per_token.clear();  // the reference stays as it is
    flags.flops_per_token = 0;
    reference_engine.emplace(flags.open(console), runtime::Engine::Options{model_flags.threads});
    options.reference = &*reference_engine;
  }
  options.stop = console.stop;
  const SteadyClock clock;
  ProgressMeter meter(console.err, clock,
                      {.title = "eval",
                       .total = text.tokens.size(),
                       .unit = "tokens",
                       .terminal = console.err_is_terminal});
  options.progress = [&](std::size_t done, std::size_t, double mean_nll) {
    meter.field("perplexity", std::exp(mean_nll));
    meter.update(done);
  };
  const Perplexity p = measure_perplexity(engine, text.tokens, options);
  meter.finish();

  std::vector<Row> rows = text_rows(text, p);
  if (p.divergence) {
    const std::vector<Row> more = divergence_rows(*p.divergence);
    rows.insert(rows.end(), more.begin(), more.end());
  }
  console.out << render(rows, table_format);
  return kDone;
}

}  // namespace switchyard::cli
