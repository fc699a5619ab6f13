#include "cli/bench/row.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/bench/runs.h"

namespace switchyard::cli::bench {
namespace {

Row some_row() {
  Row row;
  row.job = {.model = "models/it's", .budget = "25%", .batch = 256, .test = {.generate = 100}};
  row.result = {.model_type = "olmoe 6.9B-A1.3B",
                .file_type = "Q4_0",
                .kernels = "avx2",
                .threads = 2,
                .batch_tokens = 128,
                .seconds = {2, 4, 8},
                .expert_hits = 75,
                .expert_requests = 100,
                .bytes_read = 6e9,
                .work = {.weight_bytes = 30e9,
                         .cache_bytes = 10e9,
                         .float_operations = 100e9,
                         .integer_operations = 300e9},
                .token_hash = 0xabcdef};
  row.limits = {.dram_read_bytes = 20, .float_operations = 50, .integer_operations = 300};
  row.time = "2026-01-01T00:00:00Z";
  return row;
}

TEST(BenchRow, FiguresAreOfTheMedianRepetition) {
  const Row row = some_row();
  EXPECT_EQ(row.speeds(), (std::vector<double>{50, 25, 12.5}));
  EXPECT_DOUBLE_EQ(row.gigabytes_per_second(), 10);
  EXPECT_DOUBLE_EQ(row.share_of_dram(), 0.5);
  EXPECT_DOUBLE_EQ(row.gigaoperations_per_second(), 100);
  // 2 s of floating point and 1 s of integers at their peaks, done in 4 s.
  EXPECT_DOUBLE_EQ(row.share_of_peak(), 0.75);
  EXPECT_DOUBLE_EQ(row.hit_ratio(), 0.75);
  EXPECT_DOUBLE_EQ(row.read_bytes_per_token(), 2e7);
}

TEST(BenchRow, AModelWithoutExpertsMissesNone) {
  Row row = some_row();
  row.result.expert_hits = row.result.expert_requests = row.result.bytes_read = 0;
  EXPECT_EQ(row.hit_ratio(), 1);
  EXPECT_EQ(row.read_bytes_per_token(), 0);
}

TEST(BenchRow, JsonCarriesLlamaBenchsFieldsAndTheSamples) {
  const nlohmann::ordered_json json = to_json(some_row());
  EXPECT_EQ(json["model_filename"], "models/it's");
  EXPECT_EQ(json["model_type"], "olmoe 6.9B-A1.3B");
  EXPECT_EQ(json["n_prompt"], 0);
  EXPECT_EQ(json["n_gen"], 100);
  EXPECT_EQ(json["n_batch"], 256);
  EXPECT_EQ(json["n_ubatch"], 128);
  EXPECT_EQ(json["test"], "tg100");
  EXPECT_EQ(json["samples_ns"], nlohmann::json({2000000000, 4000000000, 8000000000}));
  EXPECT_EQ(json["avg_ns"], 4666666667);
  EXPECT_DOUBLE_EQ(json["avg_ts"].get<double>(), 87.5 / 3);
  EXPECT_DOUBLE_EQ(json["median_ts"].get<double>(), 25);
  EXPECT_NEAR(json["stddev_ts"].get<double>(), 19.0941, 1e-4);
  EXPECT_EQ(json["token_hash"], "0000000000abcdef");
  EXPECT_FALSE(json["cpu_info"].get<std::string>().empty());
  EXPECT_FALSE(json["build_version"].get<std::string>().empty());
}

TEST(BenchRow, TestsHaveLlamaBenchsNames) {
  EXPECT_EQ((bench::Test{.prompt = 512}).name(), "pp512");
  EXPECT_EQ((bench::Test{.generate = 128, .depth = 4096}).name(), "tg128 @ d4096");
  EXPECT_EQ((bench::Test{.prompt = 512, .generate = 128}).name(), "pp512+tg128");
  EXPECT_EQ((bench::Test{.prompt = 5, .generate = 7, .depth = 11}).context(), 23);
}

TEST(BenchRow, AResultSurvivesJson) {
  const Result result = some_row().result;
  EXPECT_EQ(to_json(result_from_json(to_json(result))), to_json(result));
}

TEST(BenchRow, RepetitionsOfProcessesAddUp) {
  Result sum = some_row().result;
  sum.add(some_row().result);
  EXPECT_EQ(sum.seconds.size(), 6U);
  EXPECT_EQ(sum.expert_requests, 200);
  EXPECT_EQ(sum.work.weight_bytes, 30e9);  // of one repetition
  EXPECT_TRUE(sum.repeats);
  Result other = some_row().result;
  other.token_hash = 1;
  sum.add(other);
  EXPECT_FALSE(sum.repeats);
}

TEST(BenchRow, TokensAreComparedWithTheFirstRowOfTheSameModelAndTest) {
  std::vector<Row> rows(4, some_row());
  rows[1].job.threads = 2;
  rows[2].job.test.generate = 3;
  rows[2].result.token_hash = 1;
  EXPECT_TRUE(compare_tokens(rows));
  rows[3].result.token_hash = 2;
  EXPECT_FALSE(compare_tokens(rows));
  EXPECT_TRUE(rows[0].same_tokens && rows[1].same_tokens && rows[2].same_tokens);
  EXPECT_FALSE(rows[3].same_tokens);
  rows[3] = rows[1];
  rows[0].result.repeats = false;
  EXPECT_FALSE(compare_tokens(rows));
  EXPECT_FALSE(rows[0].same_tokens);
}

}  // namespace
}  // namespace switchyard::cli::bench
