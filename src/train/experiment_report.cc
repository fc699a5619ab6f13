#include "train/experiment_report.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "switchyard/error.h"

#include "base/table.h"

namespace switchyard::train {
namespace {

constexpr const char* kBegin = "<!-- results -->";
constexpr const char* kEnd = "<!-- /results -->";
constexpr double kUnbounded = 1e29;  // a range that is open on this side

double metric_of(const FinishedRun& run, const std::string& metric) {
  const auto found = run.result.find(metric);
  if (found != run.result.end() && found->is_number()) return found->get<double>();
  std::vector<std::string> known;
  for (const auto& [key, value] : run.result.items()) {
    if (value.is_number()) known.push_back(key);
  }
  throw Error({.what = fmt::format("the result of arm '{}', seed {} has no number '{}'", run.arm,
                                   run.seed, metric),
               .where = "[claim] metric",
               .expected = fmt::format("one of {}", fmt::join(known, ", ")),
               .fix = metric.starts_with("test_") ? "name a test text under [data] test" : ""});
}

std::map<std::uint64_t, double> by_seed(const std::vector<FinishedRun>& runs,
                                        const std::string& arm, const std::string& metric) {
  std::map<std::uint64_t, double> out;
  for (const FinishedRun& run : runs) {
    if (run.arm == arm) out[run.seed] = metric_of(run, metric);
  }
  return out;
}

nlohmann::json side_json(const std::string& arm, const std::vector<double>& values) {
  return {{"arm", arm}, {"mean", mean(values)}, {"deviation", standard_deviation(values)}};
}

void put_interval(nlohmann::json& json, const Interval& interval, std::size_t seeds) {
  json["mean"] = interval.mean;
  if (seeds < 2) return;
  json["low"] = interval.low;
  json["high"] = interval.high;
}

nlohmann::json claim_json(const ClaimResult& result) {
  const Claim& claim = result.claim;
  nlohmann::json json = {{"name", claim.name},
                         {"text", claim.text},
                         {"source", claim.source},
                         {"published", claim.published},
                         {"metric", claim.metric},
                         {"method", side_json(claim.method, result.method)},
                         {"seeds", result.method.size()},
                         {"verdict", verdict_name(result.verdict)}};
  if (claim.kind == Claim::Kind::value) {
    json["range"] = {{"low", claim.low}, {"high", claim.high}};
    put_interval(json["value"], result.interval, result.method.size());
    return json;
  }
  json["better"] = claim.lower_is_better ? "lower" : "higher";
  if (claim.not_worse_by > 0) json["not_worse_by"] = claim.not_worse_by;
  json["baseline"] = side_json(claim.baseline, result.baseline);
  put_interval(json["difference"], result.interval, result.method.size());
  return json;
}

std::string mean_and_deviation(const nlohmann::json& side) {
  return fmt::format("{}: {:.3f} ± {:.3f}", side.at("arm").get<std::string>(),
                     side.at("mean").get<double>(), side.at("deviation").get<double>());
}

std::string interval_text(const nlohmann::json& interval, bool sign) {
  const auto number = [&](const char* key) {
    const double value = interval.at(key).get<double>();
    return sign ? fmt::format("{:+.3f}", value) : fmt::format("{:.3f}", value);
  };
  if (!interval.contains("low")) return number("mean") + " (one seed, no interval)";
  return fmt::format("{} [{}, {}]", number("mean"), number("low"), number("high"));
}

// What the claim says about its metric.
std::string condition_text(const nlohmann::json& claim) {
  const std::string metric = claim.at("metric").get<std::string>();
  if (claim.contains("range")) {
    const double low = claim.at("range").at("low").get<double>();
    const double high = claim.at("range").at("high").get<double>();
    if (low <= -kUnbounded) return fmt::format("{} at most {}", metric, high);
    if (high >= kUnbounded) return fmt::format("{} at least {}", metric, low);
    return fmt::format("{} from {} to {}", metric, low, high);
  }
  if (claim.contains("not_worse_by"))
    return fmt::format("{}, not {} by {} or more", metric,
                       claim.at("better") == "lower" ? "higher" : "lower",
                       claim.at("not_worse_by").get<double>());
  return fmt::format("{}, {} is better", metric, claim.at("better").get<std::string>());
}

Table claims_table(const nlohmann::json& results) {
  Table table({{"claim"},
               {"metric"},
               {"published"},
               {"our baseline"},
               {"our method"},
               {"difference [95 % interval]"},
               {"verdict"}});
  for (const nlohmann::json& claim : results.at("claims")) {
    const std::string published = claim.at("published").get<std::string>();
    const std::string source = claim.at("source").get<std::string>();
    const bool value = claim.contains("range");
    table.add_row(
        {claim.at("text").get<std::string>() + (source.empty() ? "" : " (" + source + ")"),
         condition_text(claim), published.empty() ? Cell() : Cell(published),
         value ? Cell() : Cell(mean_and_deviation(claim.at("baseline"))),
         mean_and_deviation(claim.at("method")),
         value ? interval_text(claim.at("value"), false)
               : interval_text(claim.at("difference"), true),
         claim.at("verdict").get<std::string>()});
  }
  return table;
}

Cell number_or_nothing(const nlohmann::json& result, const char* key, int decimals) {
  return result.contains(key) ? Cell::number(result.at(key).get<double>(), decimals) : Cell();
}

struct Column {
  const char* title;
  const char* key;
  int decimals;
};

// Those that some run has.
std::vector<Column> columns_of(std::span<const Column> all, const nlohmann::json& runs) {
  std::vector<Column> out;
  std::ranges::copy_if(all, std::back_inserter(out), [&](const Column& column) {
    return std::ranges::any_of(
        runs, [&](const nlohmann::json& run) { return run.at("result").contains(column.key); });
  });
  return out;
}

// Of the table of runs, behind arm, seed and weights.
constexpr Column kRunColumns[] = {
    {"valid loss", "valid_loss", 4},
    {"valid bits a byte", "valid_bits_per_byte", 4},
    {"test perplexity a token", "test_perplexity", 2},
    {"test perplexity a word", "test_word_perplexity", 2},
    {"test bits a byte", "test_bits_per_byte", 4},
    {"tokens/s", "tokens_per_second", 0},
};

Table runs_table(const nlohmann::json& results) {
  const nlohmann::json& runs = results.at("runs");
  const std::vector<Column> shown = columns_of(kRunColumns, runs);
  std::vector<Table::Column> heads = {{"arm"}, {"seed"}, {"weights"}, {"active"}};
  for (const Column& column : shown) heads.push_back({column.title});
  Table table(heads);
  for (const nlohmann::json& run : runs) {
    const nlohmann::json& result = run.at("result");
    std::vector<Cell> row = {run.at("arm").get<std::string>(), run.at("seed").get<std::uint64_t>(),
                             result.at("parameters").get<std::uint64_t>(),
                             Cell::number(result.at("active_parameters").get<double>(), 0)};
    for (const Column& column : shown)
      row.push_back(number_or_nothing(result, column.key, column.decimals));
    table.add_row(row);
  }
  return table;
}

// The figures beside the README, those of the analysis last.
std::string figures(const nlohmann::json& results) {
  std::string title = results.at("title").get<std::string>();
  std::erase_if(title, [](char c) { return c == '[' || c == ']'; });
  std::string out;
  const auto add = [&](const nlohmann::json& part) {
    for (const nlohmann::json& figure : part.value("figures", nlohmann::json::array())) {
      const std::string file = figure.get<std::string>();
      out += fmt::format("![{}: {}]({})\n\n", title, file.substr(0, file.rfind('.')), file);
    }
  };
  add(results);
  if (results.contains("analysis")) add(results.at("analysis"));
  return out;
}

// "21 runs, 2026-01-30 to 2026-01-31, on AMD EPYC, ...": a line a machine. Empty if no run says.
std::string provenance(const nlohmann::json& results) {
  std::map<std::string, std::vector<std::string>> days;  // by machine
  for (const nlohmann::json& run : results.at("runs")) {
    const nlohmann::json& result = run.at("result");
    if (result.contains("machine") && result.contains("finished_at"))
      days[result.at("machine").get<std::string>()].push_back(
          result.at("finished_at").get<std::string>().substr(0, 10));
  }
  std::string out;
  for (const auto& [machine, dates] : days) {
    const auto [first, last] = std::ranges::minmax(dates);
    out += fmt::format("{} run{}, {}{}, on {}.\n\n", dates.size(), dates.size() == 1 ? "" : "s",
                       first, first == last ? "" : " to " + last, machine);
  }
  return out;
}

// Of the table of arms.
constexpr Column kArmColumns[] = {
    {"valid loss", "valid_loss", 4},
    {"test bits a byte", "test_bits_per_byte", 4},
    {"test perplexity a token", "test_perplexity", 2},
    {"test perplexity a word", "test_word_perplexity", 2},
    {"active weights", "active_parameters", 0},
    {"experts a token", "experts_per_token", 2},
    {"in training", "training_experts_per_token", 2},
    {"null share", "null_share", 3},
    {"items without expert", "skip_share", 3},
    {"load max/mean", "load_max_over_mean", 2},
    {"load CV", "load_cv", 2},
    {"dead experts", "dead_experts", 1},
    {"router entropy", "router_entropy", 3},
    {"median p1/p2", "top_ratio", 2},
    {"chosen mass", "selected_mass", 3},
    {"information between layers", "layer_information", 3},
    {"steps", "step", 0},
    {"training FLOPs", "training_flops", 0},
    {"ms a step", "step_milliseconds", 0},
    {"training tokens/s", "tokens_per_second", 0},
    {"runtime tokens/s", "runtime_tokens_per_second", 0},
    {"bytes read a token", "runtime_bytes_per_token", 0},
};

// A number in few letters: FLOPs have many digits.
std::string short_number(double value, int decimals) {
  return std::abs(value) >= 1e9 ? fmt::format("{:.3g}", value)
                                : fmt::format("{:.{}f}", value, decimals);
}

// Mean ± standard deviation over seeds of what every run of an arm has.
Cell arm_cell(const nlohmann::json& runs, const std::string& arm, const Column& column) {
  std::vector<double> values;
  bool reason = false;
  for (const nlohmann::json& run : runs) {
    if (run.at("arm") != arm) continue;
    const nlohmann::json& result = run.at("result");
    if (result.contains(column.key)) values.push_back(result.at(column.key).get<double>());
    reason = reason || result.contains("runtime_reason");
  }
  if (values.empty())
    return std::string_view(column.key).starts_with("runtime_") && reason ? Cell("n/a") : Cell();
  std::string text = short_number(mean(values), column.decimals);
  if (values.size() > 1 && standard_deviation(values) > 0)
    text += " ± " + short_number(standard_deviation(values), column.decimals);
  return Cell(text);
}

std::vector<std::string> arms_of(const nlohmann::json& runs) {
  std::vector<std::string> arms;
  for (const nlohmann::json& run : runs) {
    const std::string arm = run.at("arm").get<std::string>();
    if (std::find(arms.begin(), arms.end(), arm) == arms.end()) arms.push_back(arm);
  }
  return arms;
}

// One row an arm. Results from before runs counted FLOPs have the table of runs only.
std::string arms_table(const nlohmann::json& results) {
  const nlohmann::json& runs = results.at("runs");
  const std::vector<Column> columns = columns_of(kArmColumns, runs);
  std::vector<Table::Column> heads = {{"arm"}};
  for (const Column& column : columns) heads.push_back({column.title});
  Table table(heads);
  for (const std::string& arm : arms_of(runs)) {
    std::vector<Cell> row = {Cell(arm)};
    for (const Column& column : columns) row.push_back(arm_cell(runs, arm, column));
    table.add_row(row);
  }
  return table.render(TableFormat::markdown) + "\n";
}

// Why the runtime did not run an arm.
std::string reasons(const nlohmann::json& results) {
  std::map<std::string, std::string> by_arm;
  for (const nlohmann::json& run : results.at("runs")) {
    const nlohmann::json& result = run.at("result");
    if (result.contains("runtime_reason"))
      by_arm[run.at("arm").get<std::string>()] = result.at("runtime_reason").get<std::string>();
  }
  std::string out;
  for (const auto& [arm, reason] : by_arm)
    out += fmt::format("Not run in the runtime: {} ({}).\n\n", arm, reason);
  return out;
}

// Loss by K, a row an arm; empty if K was not swept.
std::string sweep_table(const nlohmann::json& results) {
  const nlohmann::json& runs = results.at("runs");
  std::map<std::pair<std::string, int>, std::string> keys;  // in the order of K
  for (const nlohmann::json& run : runs) {
    for (const auto& [key, value] : run.at("result").items()) {
      const std::size_t at = key.find("_bits_per_byte_k");
      if (at == std::string::npos) continue;
      keys[{key.substr(0, at), std::stoi(key.substr(at + 16))}] = key;
    }
  }
  if (keys.empty()) return "";
  std::vector<Table::Column> heads = {{"bits a byte with K ="}};
  for (const auto& [place, key] : keys) heads.push_back({std::to_string(place.second)});
  Table table(heads);
  for (const std::string& arm : arms_of(runs)) {
    std::vector<Cell> row = {Cell(arm)};
    for (const auto& [place, key] : keys) row.push_back(arm_cell(runs, arm, {"", key.c_str(), 4}));
    table.add_row(row);
  }
  return table.render(TableFormat::markdown) + "\n";
}

// The tables of an experiment's analysis.
std::string analysis_tables(const nlohmann::json& results) {
  if (!results.contains("analysis")) return "";
  std::string out;
  for (const nlohmann::json& item :
       results.at("analysis").value("tables", nlohmann::json::array())) {
    std::vector<Table::Column> heads;
    for (const nlohmann::json& column : item.at("columns"))
      heads.push_back({column.get<std::string>()});
    Table table(heads);
    for (const nlohmann::json& row : item.at("rows")) {
      std::vector<Cell> cells;
      for (const nlohmann::json& cell : row) {
        cells.push_back(cell.is_string()   ? Cell(cell.get<std::string>())
                        : cell.is_number() ? Cell(fmt::format("{:.4g}", cell.get<double>()))
                                           : Cell());
      }
      table.add_row(cells);
    }
    out += item.value("title", "") + "\n\n" + table.render(TableFormat::markdown) + "\n";
  }
  return out;
}

}  // namespace

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::reproduced:
      return "reproduced";
    case Verdict::direction_only:
      return "direction only";
    case Verdict::not_reproduced:
      break;
  }
  return "not reproduced";
}

namespace {

Verdict verdict_of(const ClaimResult& result) {
  const Claim& claim = result.claim;
  const Interval& interval = result.interval;
  bool direction = false;
  bool clear = false;
  if (claim.kind == Claim::Kind::value) {
    direction = interval.mean >= claim.low && interval.mean <= claim.high;
    clear = interval.low >= claim.low && interval.high <= claim.high;
  } else if (claim.lower_is_better) {
    direction = interval.mean < claim.not_worse_by;
    clear = interval.high < claim.not_worse_by;
  } else {
    direction = interval.mean > -claim.not_worse_by;
    clear = interval.low > -claim.not_worse_by;
  }
  return clear       ? Verdict::reproduced
         : direction ? Verdict::direction_only
                     : Verdict::not_reproduced;
}

}  // namespace

ClaimResult judge(const Claim& claim, const std::vector<FinishedRun>& runs) {
  const bool compares = claim.kind == Claim::Kind::comparison;
  const auto baseline = by_seed(runs, compares ? claim.baseline : claim.method, claim.metric);
  const auto method = by_seed(runs, claim.method, claim.metric);
  ClaimResult out;
  out.claim = claim;
  std::vector<double> judged;
  for (const auto& [seed, value] : method) {
    const auto other = baseline.find(seed);
    if (other == baseline.end()) continue;
    out.method.push_back(value);
    if (compares) out.baseline.push_back(other->second);
    judged.push_back(compares ? value - other->second : value);
  }
  if (judged.empty()) {
    throw Error({.what = compares ? fmt::format("no seed is finished for both '{}' and '{}'",
                                                claim.baseline, claim.method)
                                  : fmt::format("no seed is finished for '{}'", claim.method),
                 .where = "claim " + claim.name,
                 .expected = "",
                 .fix = "run the experiment again, it goes on where it stopped"});
  }
  out.interval = confidence_interval(judged);
  out.verdict = verdict_of(out);
  return out;
}

nlohmann::json results_json(const Experiment& experiment, const std::vector<FinishedRun>& runs,
                            bool quick) {
  nlohmann::json out = {{"experiment", experiment.name},
                        {"title", experiment.title},
                        {"quick", quick},
                        {"headline", experiment.headline},
                        {"claims", nlohmann::json::array()},
                        {"runs", nlohmann::json::array()}};
  for (const Claim& claim : experiment.claims)
    out["claims"].push_back(claim_json(judge(claim, runs)));
  for (const FinishedRun& run : runs) {
    out["runs"].push_back({{"arm", run.arm}, {"seed", run.seed}, {"result", run.result}});
  }
  return out;
}

std::string results_markdown(const nlohmann::json& results) {
  try {
    return claims_table(results).render(TableFormat::markdown) + "\n" + arms_table(results) +
           reasons(results) + sweep_table(results) + analysis_tables(results) + figures(results) +
           provenance(results) + runs_table(results).render(TableFormat::markdown);
  } catch (const nlohmann::json::exception& error) {
    throw Error({.what = fmt::format("not the results of an experiment: {}", error.what()),
                 .where = "results.json",
                 .expected = "what `switchyard reproduce` wrote",
                 .fix = "run the experiment again"});
  }
}

std::string with_results(const std::string& text, const std::string& table,
                         const std::string& where) {
  const std::size_t begin = text.find(kBegin);
  const std::size_t end = text.find(kEnd);
  if (begin == std::string::npos || end == std::string::npos || end < begin) {
    throw Error({.what = "there is no place for the table",
                 .where = where,
                 .expected = fmt::format("a line '{}' and, below it, a line '{}'", kBegin, kEnd),
                 .fix = "add the two lines"});
  }
  return text.substr(0, begin) + kBegin + "\n" + table + text.substr(end);
}

}  // namespace switchyard::train
