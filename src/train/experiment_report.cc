#include "train/experiment_report.h"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "switchyard/error.h"

#include "base/table.h"

namespace switchyard::train {
namespace {

constexpr const char* kBegin = "<!-- results -->";
constexpr const char* kEnd = "<!-- /results -->";

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

nlohmann::json claim_json(const ClaimResult& result) {
  const Claim& claim = result.claim;
  nlohmann::json json = {{"name", claim.name},
                         {"text", claim.text},
                         {"source", claim.source},
                         {"published", claim.published},
                         {"metric", claim.metric},
                         {"better", claim.lower_is_better ? "lower" : "higher"},
                         {"baseline",
                          {{"arm", claim.baseline},
                           {"mean", result.baseline_mean},
                           {"deviation", result.baseline_deviation}}},
                         {"method",
                          {{"arm", claim.method},
                           {"mean", result.method_mean},
                           {"deviation", result.method_deviation}}},
                         {"difference", {{"mean", result.difference.mean}}},
                         {"seeds", result.seeds},
                         {"verdict", verdict_name(result.verdict)}};
  if (result.seeds > 1) {
    json["difference"]["low"] = result.difference.low;
    json["difference"]["high"] = result.difference.high;
  }
  return json;
}

std::string mean_and_deviation(const nlohmann::json& side) {
  return fmt::format("{}: {:.3f} ± {:.3f}", side.at("arm").get<std::string>(),
                     side.at("mean").get<double>(), side.at("deviation").get<double>());
}

std::string difference_text(const nlohmann::json& difference) {
  const double center = difference.at("mean").get<double>();
  if (!difference.contains("low")) return fmt::format("{:+.3f} (one seed, no interval)", center);
  return fmt::format("{:+.3f} [{:+.3f}, {:+.3f}]", center, difference.at("low").get<double>(),
                     difference.at("high").get<double>());
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
    table.add_row(
        {claim.at("text").get<std::string>() + " (" + claim.at("source").get<std::string>() + ")",
         fmt::format("{}, {} is better", claim.at("metric").get<std::string>(),
                     claim.at("better").get<std::string>()),
         published.empty() ? Cell() : Cell(published), mean_and_deviation(claim.at("baseline")),
         mean_and_deviation(claim.at("method")), difference_text(claim.at("difference")),
         claim.at("verdict").get<std::string>()});
  }
  return table;
}

Cell number_or_nothing(const nlohmann::json& result, const char* key, int decimals) {
  return result.contains(key) ? Cell::number(result.at(key).get<double>(), decimals) : Cell();
}

Table runs_table(const nlohmann::json& results) {
  Table table({{"arm"},
               {"seed"},
               {"weights"},
               {"active"},
               {"valid loss"},
               {"test perplexity a token"},
               {"test perplexity a word"},
               {"test bits a byte"},
               {"tokens/s"}});
  for (const nlohmann::json& run : results.at("runs")) {
    const nlohmann::json& result = run.at("result");
    table.add_row({run.at("arm").get<std::string>(), run.at("seed").get<std::uint64_t>(),
                   result.at("parameters").get<std::uint64_t>(),
                   result.at("active_parameters").get<std::uint64_t>(),
                   number_or_nothing(result, "valid_loss", 4),
                   number_or_nothing(result, "test_perplexity", 2),
                   number_or_nothing(result, "test_word_perplexity", 2),
                   number_or_nothing(result, "test_bits_per_byte", 4),
                   number_or_nothing(result, "tokens_per_second", 0)});
  }
  return table;
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

ClaimResult judge(const Claim& claim, const std::vector<FinishedRun>& runs) {
  const auto baseline = by_seed(runs, claim.baseline, claim.metric);
  const auto method = by_seed(runs, claim.method, claim.metric);
  std::vector<double> baselines;
  std::vector<double> methods;
  std::vector<double> differences;
  for (const auto& [seed, value] : baseline) {
    const auto other = method.find(seed);
    if (other == method.end()) continue;
    baselines.push_back(value);
    methods.push_back(other->second);
    differences.push_back(other->second - value);
  }
  if (differences.empty()) {
    throw Error({.what = fmt::format("no seed is finished for both '{}' and '{}'", claim.baseline,
                                     claim.method),
                 .where = "claim " + claim.name,
                 .expected = "",
                 .fix = "run the experiment again, it goes on where it stopped"});
  }
  ClaimResult out;
  out.claim = claim;
  out.baseline_mean = mean(baselines);
  out.baseline_deviation = standard_deviation(baselines);
  out.method_mean = mean(methods);
  out.method_deviation = standard_deviation(methods);
  out.difference = confidence_interval(differences);
  out.seeds = differences.size();
  const bool direction = claim.lower_is_better ? out.difference.mean < 0 : out.difference.mean > 0;
  const bool clear = claim.lower_is_better ? out.difference.high < 0 : out.difference.low > 0;
  if (clear) {
    out.verdict = Verdict::reproduced;
  } else if (direction) {
    out.verdict = Verdict::direction_only;
  }
  return out;
}

nlohmann::json results_json(const Experiment& experiment, const std::vector<FinishedRun>& runs,
                            bool quick) {
  nlohmann::json out = {{"experiment", experiment.name},
                        {"title", experiment.title},
                        {"quick", quick},
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
    return claims_table(results).render(TableFormat::markdown) + "\n" +
           runs_table(results).render(TableFormat::markdown);
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
