#include "train/experiment_report.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/errors.h"

namespace switchyard::train {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::error_of;

std::vector<FinishedRun> runs(const std::vector<double>& dense, const std::vector<double>& moe) {
  std::vector<FinishedRun> out;
  const auto add = [&](const char* arm, std::size_t i, double value) {
    out.push_back({.arm = arm,
                   .seed = i + 1,
                   .result = {{"test_word_perplexity", value},
                              {"parameters", 10},
                              {"active_parameters", 5},
                              {"name", "x"}},
                   .directory = ""});
  };
  for (std::size_t i = 0; i < dense.size(); ++i) add("dense", i, dense[i]);
  for (std::size_t i = 0; i < moe.size(); ++i) add("moe", i, moe[i]);
  return out;
}

Claim claim(bool lower = true) {
  return {.name = "p",
          .text = "MoE is better",
          .source = "S 2017",
          .published = "",
          .metric = "test_word_perplexity",
          .baseline = "dense",
          .method = "moe",
          .lower_is_better = lower};
}

Experiment one_claim() {
  Experiment experiment;
  experiment.name = "x";
  experiment.claims = {claim()};
  return experiment;
}

TEST(Judge, VerdictFollowsTheIntervalOfPairedDifferences) {
  // The seeds differ by far more than the arms: only pairing shows it.
  const ClaimResult clear = judge(claim(), runs({100, 200, 300}, {90, 189, 291}));
  EXPECT_EQ(clear.verdict, Verdict::reproduced);
  EXPECT_DOUBLE_EQ(clear.interval.mean, -10.0);
  EXPECT_EQ(judge(claim(), runs({100, 200, 300}, {90, 201, 299})).verdict, Verdict::direction_only);
  EXPECT_EQ(judge(claim(), runs({100, 200, 300}, {110, 201, 299})).verdict,
            Verdict::not_reproduced);
  EXPECT_EQ(judge(claim(false), runs({100, 200, 300}, {90, 189, 291})).verdict,
            Verdict::not_reproduced);
  EXPECT_EQ(judge(claim(false), runs({90, 189, 291}, {100, 200, 300})).verdict,
            Verdict::reproduced);
}

TEST(Results, SayWhenAndWhereTheRunsWereMade) {
  std::vector<FinishedRun> all = runs({100, 200}, {90, 189});
  const Experiment experiment = one_claim();
  EXPECT_THAT(results_markdown(results_json(experiment, all, false)), Not(HasSubstr(" runs, ")));
  int day = 10;
  for (FinishedRun& run : all) {
    run.result["machine"] = "a machine";
    run.result["finished_at"] = fmt::format("2026-01-{}T12:00:00Z", ++day);
  }
  EXPECT_THAT(results_markdown(results_json(experiment, all, false)),
              HasSubstr("4 runs, 2026-01-11 to 2026-01-14, on a machine.\n"));
}

TEST(Results, FiguresAreShown) {
  nlohmann::json results = results_json(one_claim(), runs({1, 2}, {2, 3}), false);
  results["title"] = "X [y]";
  results["figures"] = {"arms.svg"};
  EXPECT_THAT(results_markdown(results), HasSubstr("![X y: arms](arms.svg)\n"));
}

TEST(Results, ColumnsThatNoRunHasAreLeftOut) {
  const Experiment experiment = one_claim();
  const std::string table = results_markdown(results_json(experiment, runs({1, 2}, {2, 3}), false));
  EXPECT_THAT(table, HasSubstr("test perplexity a word"));
  EXPECT_THAT(table, Not(HasSubstr("test bits a byte")));
}

TEST(Judge, OneSeedShowsDirectionAtMost) {
  const ClaimResult result = judge(claim(), runs({100}, {90}));
  EXPECT_EQ(result.verdict, Verdict::direction_only);
  EXPECT_EQ(result.method.size(), 1U);
}

TEST(Judge, OnlySeedsOfBothArmsCount) {
  EXPECT_EQ(judge(claim(), runs({100, 200, 300}, {90, 190})).method.size(), 2U);
  EXPECT_EQ(error_of([] { judge(claim(), runs({100}, {})); }).what,
            "no seed is finished for both 'dense' and 'moe'");
}

TEST(Judge, NotWorseByMovesTheLine) {
  Claim within = claim();
  within.not_worse_by = 20;
  EXPECT_EQ(judge(within, runs({100, 200, 300}, {110, 209, 311})).verdict, Verdict::reproduced);
  EXPECT_EQ(judge(within, runs({100, 200, 300}, {110, 230, 311})).verdict, Verdict::direction_only);
  EXPECT_EQ(judge(within, runs({100, 200, 300}, {130, 229, 331})).verdict, Verdict::not_reproduced);
  within.lower_is_better = false;
  EXPECT_EQ(judge(within, runs({100, 200, 300}, {90, 191, 289})).verdict, Verdict::reproduced);
}

TEST(Judge, AValueMustLieInItsRange) {
  Claim value = claim();
  value.kind = Claim::Kind::value;
  value.baseline = "";
  value.low = 88;
  value.high = 92;
  EXPECT_EQ(judge(value, runs({}, {90, 90.5, 89.5})).verdict, Verdict::reproduced);
  EXPECT_EQ(judge(value, runs({}, {85, 90, 95})).verdict, Verdict::direction_only);
  EXPECT_EQ(judge(value, runs({}, {95, 96, 97})).verdict, Verdict::not_reproduced);
  EXPECT_EQ(error_of([&] { judge(value, {}); }).what, "no seed is finished for 'moe'");

  Experiment experiment;
  experiment.claims = {value};
  const std::string table =
      results_markdown(results_json(experiment, runs({}, {90, 90.5, 89.5}), false));
  EXPECT_THAT(table, HasSubstr("test_word_perplexity from 88 to 92 | - | - | moe: 90.000"));
}

TEST(Judge, MissingMetricNamesTheKnownOnes) {
  Claim wrong = claim();
  wrong.metric = "test_loss";
  const auto parts = error_of([&] { judge(wrong, runs({1}, {2})); });
  EXPECT_EQ(parts.what, "the result of arm 'dense', seed 1 has no number 'test_loss'");
  EXPECT_EQ(parts.expected, "one of active_parameters, parameters, test_word_perplexity");
}

TEST(ResultsMarkdown, HasClaimAndRuns) {
  Experiment experiment;
  experiment.name = "e";
  experiment.claims = {claim()};
  const std::string table =
      results_markdown(results_json(experiment, runs({100, 200, 300}, {90, 189, 291}), false));
  EXPECT_THAT(table, HasSubstr("-10.000 ["));
  EXPECT_THAT(table, HasSubstr("reproduced"));
  EXPECT_THAT(table, HasSubstr("291.00"));
  const std::string one = results_markdown(results_json(experiment, runs({100}, {90}), true));
  EXPECT_THAT(one, HasSubstr("-10.000 (one seed, no interval)"));
  EXPECT_EQ(error_of([] { results_markdown(nlohmann::json::object()); }).fix,
            "run the experiment again");
}

TEST(ResultsMarkdown, ShowsWhatRunsAndAnalysisHave) {
  std::vector<FinishedRun> both = runs({100, 200}, {90, 180});
  both[2].result["test_bits_per_byte_k10"] = 1.5;
  both[2].result["test_bits_per_byte_k9"] = 2.0;
  both[3].result["test_bits_per_byte_k10"] = 1.7;
  both[0].result["runtime_reason"] = "it looks ahead";
  both[2].result["runtime_tokens_per_second"] = 123;
  both[2].result["training_flops"] = 5.25e12;
  Experiment experiment;
  experiment.claims = {claim()};
  nlohmann::json results = results_json(experiment, both, false);
  results["analysis"] = nlohmann::json::parse(R"({"tables": [
      {"title": "Oracle", "columns": ["route", "loss"], "rows": [["all big", 1.25], ["none", null]]}
  ]})");
  const std::string table = results_markdown(results);
  EXPECT_THAT(table, HasSubstr("| bits a byte with K = | 9 | 10 |"));
  EXPECT_THAT(table, HasSubstr("| moe | 2.0000 | 1.6000 ± 0.1414 |"));
  EXPECT_THAT(table, HasSubstr("5.25e+12"));
  EXPECT_THAT(table, HasSubstr("| n/a |"));
  EXPECT_THAT(table, HasSubstr("Not run in the runtime: dense (it looks ahead)."));
  EXPECT_THAT(table, HasSubstr("Oracle\n\n| route | loss |"));
  EXPECT_THAT(table, HasSubstr("| all big | 1.25 |"));
}

TEST(WithResults, ReplacesOnlyWhatStandsBetweenTheMarks) {
  const std::string page = "# A\n<!-- results -->\nold\n<!-- /results -->\nend\n";
  EXPECT_EQ(with_results(page, "| new |\n", "README.md"),
            "# A\n<!-- results -->\n| new |\n<!-- /results -->\nend\n");
  EXPECT_EQ(error_of([] { with_results("nothing", "t", "README.md"); }).where, "README.md");
}

}  // namespace
}  // namespace switchyard::train
