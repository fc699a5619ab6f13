#include "cli/bench/output.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/errors.h"

namespace switchyard::cli::bench {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::vector<Row> some_rows() {
  Row row;
  row.job = {.model = "it's \"a\", model", .test = {.prompt = 64}};
  row.result = {.model_type = "llama 8B",
                .file_type = "BF16",
                .kernels = "scalar",
                .threads = 1,
                .batch_tokens = 64,
                .seconds = {0.5, 1}};
  Row second = row;
  second.job.test = {.generate = 8, .depth = 4096};
  second.job.budget = "1GiB";
  second.same_tokens = false;
  return {row, second};
}

TEST(BenchOutput, TablesForPeopleShowTestSpeedAndShares) {
  const std::string text = render(some_rows(), Format::text, false);
  EXPECT_THAT(text, AllOf(HasSubstr("llama 8B"), HasSubstr("pp64"), HasSubstr("96.00 ± 45.25"),
                          HasSubstr("tg8 @ d4096"), HasSubstr("of DRAM")));
  EXPECT_THAT(text, Not(HasSubstr("hit ratio")));
  EXPECT_THAT(render(some_rows(), Format::text, true),
              AllOf(HasSubstr("hit ratio"), HasSubstr("unlimited"), HasSubstr("1GiB")));
  EXPECT_THAT(render(some_rows(), Format::markdown, false), StartsWith("| model |"));
}

TEST(BenchOutput, JsonIsAListAndJsonlALineARow) {
  EXPECT_EQ(nlohmann::json::parse(render(some_rows(), Format::json, false)).size(), 2U);
  EXPECT_EQ(render({}, Format::json, false), "[]\n");
  const std::string lines = render(some_rows(), Format::jsonl, false);
  EXPECT_EQ(std::ranges::count(lines, '\n'), 2);
  EXPECT_EQ(nlohmann::json::parse(lines.substr(0, lines.find('\n')))["n_prompt"], 64);
}

TEST(BenchOutput, CsvQuotesAndHasAsManyFieldsAsTitles) {
  const std::string csv = render(some_rows(), Format::csv, false);
  EXPECT_EQ(std::ranges::count(csv, '\n'), 3);
  EXPECT_THAT(csv, StartsWith("build_version,cpu_info,"));
  EXPECT_THAT(csv, AllOf(HasSubstr("\"it's \"\"a\"\", model\""), HasSubstr("\"[500000000,")));
}

TEST(BenchOutput, SqlCreatesOnceAndQuotes) {
  const std::string sql = render(some_rows(), Format::sql, false);
  EXPECT_THAT(sql, StartsWith("CREATE TABLE IF NOT EXISTS switchyard_bench (\n"));
  EXPECT_THAT(sql, AllOf(HasSubstr("model_filename TEXT"), HasSubstr("n_prompt INTEGER"),
                         HasSubstr("avg_ts REAL"), HasSubstr("samples_ns TEXT"),
                         HasSubstr("'it''s \"a\", model'"), HasSubstr("'[500000000,1000000000]'")));
  EXPECT_EQ(sql.find("CREATE", 1), std::string::npos);
  std::size_t inserts = 0;
  for (std::size_t at = 0; (at = sql.find("INSERT INTO", at)) != std::string::npos; ++at) ++inserts;
  EXPECT_EQ(inserts, 2U);
  EXPECT_EQ(render({}, Format::sql, false), "");
}

TEST(BenchOutput, SqlHasNullForWhatIsNoNumber) {
  std::vector<Row> rows = some_rows();
  rows.resize(1);
  rows[0].limits.dram_read_bytes = std::numeric_limits<double>::infinity();
  EXPECT_THAT(render(rows, Format::sql, false), HasSubstr("NULL"));
  EXPECT_THAT(render(some_rows(), Format::sql, false), Not(HasSubstr("NULL")));
}

TEST(BenchOutput, SqlText) {
  EXPECT_EQ(sql_text(""), "''");
  EXPECT_EQ(sql_text("'; DROP TABLE x; --"), "'''; DROP TABLE x; --'");
}

TEST(BenchOutput, ANameThatIsNotUtf8DoesNotBreakIt) {
  std::vector<Row> rows = some_rows();
  rows[0].job.model = "bad\xff";
  for (const Format format :
       {Format::text, Format::markdown, Format::csv, Format::json, Format::jsonl, Format::sql}) {
    EXPECT_FALSE(render(rows, format, true).empty());
  }
}

TEST(BenchOutput, KnowsItsFormats) {
  EXPECT_EQ(parse_format("sql"), Format::sql);
  EXPECT_EQ(testing_support::error_of([] { parse_format("yaml"); }).expected,
            "text, md, csv, json, jsonl or sql");
}

}  // namespace
}  // namespace switchyard::cli::bench
