// switchyard inspect: parameters, bytes, FLOPs, and where the tokens of a text go.
#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "switchyard/error.h"

#include "base/byte_size.h"
#include "base/table.h"
#include "cli/check_model.h"
#include "cli/inspect_page.h"
#include "cli/model_flags.h"
#include "cli/parse.h"
#include "formats/data/source.h"
#include "formats/data/text.h"
#include "runtime/work.h"

namespace switchyard::cli {
namespace {

// Positions computed per step; their logits are thrown away, so few are held at once.
constexpr std::size_t kTokensAtOnce = 256;

std::string count(std::uint64_t n) {
  if (n >= 1'000'000'000) return fmt::format("{:.2f} billion", static_cast<double>(n) / 1e9);
  if (n >= 1'000'000) return fmt::format("{:.2f} million", static_cast<double>(n) / 1e6);
  return std::to_string(n);
}

// Where the number of experts varies, the figures are those of a token with the most.
std::string describe_experts(const MoeConfig& moe) {
  const routing::Config& router = moe.router;
  const std::string widths = moe.expert_hidden.empty()
                                 ? std::to_string(moe.expert.hidden)
                                 : fmt::format("{}", fmt::join(moe.expert_hidden, ", "));
  const bool varies = routing::method(router.kind).k_is_limit || router.null_experts > 0;
  std::string text = fmt::format("{}{} of {} per token ({}), hidden width {}",
                                 varies ? "at most " : "", routing::most_experts_per_item(router),
                                 router.experts, routing::method(router.kind).name, widths);
  if (router.null_experts > 0) {
    text += fmt::format("; {} choices among these and {} null expert{}", router.experts_per_token,
                        router.null_experts, router.null_experts == 1 ? "" : "s");
  }
  return text;
}

// Weights that a token of the text used on average, where the model's own number is a limit or a
// guess: null experts, skips, thresholds, experts of different width.
double active_in_text(const ModelConfig& config, const RouteStatistics& routes) {
  ModelConfig rest = config;
  rest.moe->router.experts_per_token = 0;
  auto sum = static_cast<double>(rest.active_parameters());
  for (const auto& [layer, r] : routes.layers()) {
    if (r.load.items() == 0) continue;
    double used = 0;
    for (std::size_t e = 0; e < r.load.counts().size(); ++e) {
      const FfnConfig ffn = config.moe->ffn(static_cast<int>(e));
      used += static_cast<double>(r.load.counts()[e]) * (ffn.gated ? 3.0 : 2.0) * config.width *
              ffn.hidden;
    }
    sum += used / static_cast<double>(r.load.items());
  }
  return sum;
}

std::vector<std::pair<std::string, std::string>> facts(const runtime::Model& model) {
  ModelConfig c = model.config();
  double expert_width = 0;
  std::string experts;
  if (c.moe) {
    experts = describe_experts(*c.moe);
    const int most = routing::most_experts_per_item(c.moe->router);
    c.moe->router.experts_per_token = most;
    expert_width =
        static_cast<double>(std::ranges::count(c.layer_is_moe, true)) * most * c.moe->expert.hidden;
  }
  std::vector<std::pair<std::string, std::string>> list{
      {"layers x width", fmt::format("{} x {}", c.layers, c.width)},
      {"heads (key-value heads) x head width",
       fmt::format("{} ({}) x {}", c.heads, c.kv_heads, c.head_dim)},
      {"vocabulary", std::to_string(c.vocab)},
      {"context", fmt::format("{} tokens", c.context)},
      {"parameters", count(c.parameters())},
      {"active per token", count(c.active_parameters())},
      {"FLOPs per token",
       count(c.flops_per_token(c.context / 2)) + fmt::format(" (after {} tokens)", c.context / 2)},
      {"bytes of dense weights", format_bytes(model.dense_bytes())},
      {"bytes of experts", format_bytes(model.expert_bytes())},
      {"bytes of weights read per token",
       format_bytes(runtime::weight_bytes_per_token(model, expert_width))},
  };
  if (c.mla) {
    list.insert(list.begin() + 2,
                {"cached values per token and layer", std::to_string(c.mla->cached_width())});
  }
  if (c.moe) list.insert(list.begin() + 2, {"experts", experts});
  return list;
}

void route_text(runtime::Engine& engine, std::span<const std::int32_t> tokens,
                RouteStatistics& routes, Console& console) {
  runtime::Session session = engine.new_session();
  for (std::size_t at = 0; at < tokens.size();) {
    const auto room = static_cast<std::size_t>(session.max_tokens() - session.length());
    if (room == 0) {
      session.truncate(0);
      continue;
    }
    const std::size_t n = std::min({room, kTokensAtOnce, tokens.size() - at});
    const runtime::StepInput input{.session = &session, .tokens = tokens.subspan(at, n)};
    engine.step(
        std::span(&input, 1),
        {.stop = console.stop, .on_route = [&](const runtime::RouteRecord& r) { routes.add(r); }});
    at += n;
  }
}

std::string load_bars(const LayerRoutes& r) {
  constexpr std::array kShades = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::string bars;
  const auto most =
      static_cast<double>(std::max<std::uint64_t>(1, *std::ranges::max_element(r.load.counts())));
  for (const std::uint64_t n : r.load.counts()) {
    const double share = static_cast<double>(n) / most;
    bars += n == 0 ? kShades[0] : kShades[1 + static_cast<std::size_t>(share * 7.0)];
  }
  return bars;
}

Cell class_cell(const ClassLoad& load) {
  return load.items == 0 ? Cell() : Cell::number(load.experts_per_item(), 2);
}

// `for_machines`: with the experts per token of each class of tokens, which people see in a table
// of their own.
Table layer_table(const RouteStatistics& routes, bool for_machines) {
  std::vector<Table::Column> columns{{"layer"},
                                     {"experts/token", "experts_per_token"},
                                     {"null share", "null_share"},
                                     {"no expert", "skip_share"},
                                     {"load entropy", "load_entropy"},
                                     {"max/mean load", "imbalance"},
                                     {"load CV", "load_cv"},
                                     {"dead experts", "dead_experts"},
                                     {"router entropy", "router_entropy"},
                                     {"top probability", "top_probability"},
                                     {"load by expert", "load"}};
  if (for_machines) {
    for (const TokenClassName& name : kTokenClassNames)
      columns.push_back({std::string(name.title), "experts_per_" + std::string(name.key)});
  }
  Table table(columns);
  for (const auto& [layer, r] : routes.layers()) {
    std::vector<Cell> row{Cell(layer),
                          Cell::number(r.load.experts_per_item(), 2),
                          Cell::percent(r.load.null_share()),
                          Cell::percent(r.load.idle_share()),
                          Cell::percent(r.load.normalized_entropy()),
                          Cell::number(r.load.imbalance(), 2),
                          Cell::number(r.load.coefficient_of_variation(), 2),
                          Cell(r.load.dead_experts().size()),
                          Cell::percent(r.confidence.normalized_entropy()),
                          Cell::number(r.confidence.top_probability(), 3),
                          Cell(load_bars(r))};
    if (for_machines) {
      for (const ClassLoad& load : r.by_class) row.push_back(class_cell(load));
    }
    table.add_row(row);
  }
  return table;
}

// Experts per token of each class of tokens; the first row counts the tokens.
Table class_table(const RouteStatistics& routes) {
  std::vector<Table::Column> columns{{"experts/token in layer"}};
  for (const TokenClassName& name : kTokenClassNames) columns.push_back({std::string(name.title)});
  Table table(columns);
  for (const auto& [layer, r] : routes.layers()) {
    if (table.rows() == 0) {
      std::vector<Cell> counts{Cell("tokens")};
      for (const ClassLoad& load : r.by_class) counts.push_back(Cell(load.items));
      table.add_row(counts);
    }
    std::vector<Cell> row{Cell(std::to_string(layer))};
    for (const ClassLoad& load : r.by_class) row.push_back(class_cell(load));
    table.add_row(row);
  }
  return table;
}

// A few points of the log, the first and the last among them.
Table history_table(const TrainingHistory& history) {
  Table table({{"training step"}, {"experts/token"}, {"null share"}, {"load entropy"}});
  const std::size_t points = history.experts_per_token.x.size();
  std::size_t last = points;
  for (const std::size_t i : {std::size_t{0}, points / 4, points / 2, 3 * points / 4, points - 1}) {
    if (i == last) continue;
    last = i;
    table.add_row(
        {Cell::number(history.experts_per_token.x[i], 0),
         Cell::number(history.experts_per_token.y[i], 2),
         i < history.null_share.y.size() ? Cell::percent(history.null_share.y[i]) : Cell(),
         i < history.load_entropy.y.size() ? Cell::percent(history.load_entropy.y[i]) : Cell()});
  }
  return table;
}

}  // namespace

int run_inspect(const Arguments& arguments, Console& console) {
  ModelFlags model_flags;
  std::string text_file;
  std::string text;
  std::string html;
  std::string svg;
  std::string format = "text";
  std::size_t most_tokens = 20000;
  std::size_t shown_tokens = 1500;
  bool check = false;
  auto app =
      make_app("inspect", "Shows what a model consists of and, with a text, where its tokens go.",
               "switchyard inspect models/tiny-stories-moe --text story.txt --html routes.html");
  model_flags.add_to(*app);
  auto* file =
      app->add_option("--text", text_file, "file whose tokens are routed (.gz and .xz too)");
  app->add_option("-p,--prompt", text, "text whose tokens are routed")->excludes(file);
  app->add_option("--html", html, "write a page: heat map of the load, every token's experts");
  app->add_option("--svg", svg, "write the heat map of the load alone");
  app->add_option("--max-tokens", most_tokens, "use only so many tokens of the text, 0: all")
      ->capture_default_str();
  app->add_option("--show-tokens", shown_tokens, "tokens shown on the page")->capture_default_str();
  app->add_flag("--check", check,
                "read every weight, say whether all are there and finite numbers, and exit");
  app->add_option("-o,--output", format, "of the layer table: text, md, csv or json")
      ->capture_default_str();
  if (!parse(*app, arguments, console)) return kDone;
  const TableFormat table_format = parse_table_format(format, "--output");
  const std::string shown_name = model_flags.model;
  TrainingHistory history;
  if (is_run_directory(console.files, model_flags.model)) {
    history = read_training_history(console.files, model_flags.model);
    model_flags.model += "/model";
  }
  if (check) {
    check_model(console, model_flags.model, model_flags.threads);
    return kDone;
  }
  if (model_flags.print_plan(console)) return kDone;

  std::vector<std::int32_t> tokens;
  std::vector<TokenClass> classes;
  InspectPage page{.title = shown_name, .history = std::move(history)};
  if (!text_file.empty()) {
    text = data::read_text(console.files, data::find_data(console.files, text_file));
    if (text.empty()) {
      throw Error({.what = "the text is empty",
                   .where = text_file,
                   .expected = "text whose tokens can be routed",
                   .fix = ""});
    }
  }
  if (!text.empty()) {
    const Tokenizer tokenizer = Tokenizer::load(console.files, model_flags.model);
    tokens = tokenizer.encode(text);
    if (most_tokens > 0) tokens.resize(std::min(tokens.size(), most_tokens));
    StreamDecoder decoder(tokenizer);
    TokenClassifier classifier;
    for (const std::int32_t token : tokens) {
      std::string piece = decoder.push(token);
      classes.push_back(classifier.next(piece, tokenizer.is_special(token)));
      if (page.tokens.size() < shown_tokens) page.tokens.push_back(std::move(piece));
    }
  }

  runtime::Engine engine(model_flags.open(console), {.threads = model_flags.threads});
  const runtime::Model& model = engine.model();
  RouteStatistics routes(model.config(), std::move(classes), shown_tokens);
  page.facts = facts(model);
  page.routed_tokens = tokens.size();
  const bool routed = !tokens.empty() && model.config().moe.has_value();
  if (routed) {
    route_text(engine, tokens, routes, console);
    page.facts.emplace_back(
        "active per token of this text",
        count(static_cast<std::uint64_t>(std::llround(active_in_text(model.config(), routes)))));
  }
  if (table_format == TableFormat::text) {
    for (const auto& [name, value] : page.facts)
      console.out << fmt::format("{:<38}{}\n", name, value);
    if (!page.history.empty())
      console.out << '\n' << history_table(page.history).render(table_format);
  }
  if (routed) {
    if (table_format == TableFormat::text)
      console.out << fmt::format("\nrouting of {} tokens\n", tokens.size());
    const bool for_machines = table_format == TableFormat::json || table_format == TableFormat::csv;
    console.out << layer_table(routes, for_machines).render(table_format);
    if (!for_machines) console.out << '\n' << class_table(routes).render(table_format);
  }
  if (!svg.empty()) write_file_atomically(console.files, svg, load_heat_map(routes));
  if (!html.empty()) {
    write_file_atomically(console.files, html, render(page, routes));
    console.err << "wrote " << html << '\n';
  }
  return kDone;
}

}  // namespace switchyard::cli
