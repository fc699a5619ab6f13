#include "cli/plan_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/errors.h"

namespace switchyard::cli {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = 1 << 20;

runtime::MemoryPlan some_plan() {
  return {.process = 10 * kMiB,
          .dense_weights = 20 * kMiB,
          .kv_cache = 3 * kMiB,
          .scratch = 4 * kMiB,
          .experts = 50 * kMiB,
          .full_experts = 200 * kMiB,
          .floor = 36 * kMiB,
          .batch_tokens = 64,
          .sessions = 1,
          .session_tokens = 2048};
}

TEST(PlanTable, ShowsEveryPartTotalFloorAndLimit) {
  const std::string text = render(some_plan(), 87 * kMiB, PlanFormat::text);
  for (const char* line :
       {"process +10.0 MiB", "dense weights +20.0 MiB", "KV cache +3.00 MiB +1 sequence of 2048",
        "scratch +4.00 MiB +64 tokens at once", "I/O buffers +0 B",
        "expert slots +50.0 MiB +25.0 % of 200 MiB", "total +87.0 MiB", "floor +36.0 MiB",
        "limit +87.0 MiB", "machine "}) {
    EXPECT_THAT(text, ContainsRegex(line));
  }
  EXPECT_THAT(render(some_plan(), 0, PlanFormat::text), ContainsRegex("limit +- "));
}

TEST(PlanTable, SaysWhatDoesNotFitTheMachine) {
  runtime::MemoryPlan plan = some_plan();
  EXPECT_THAT(render(plan, 0, PlanFormat::text), ::testing::Not(HasSubstr("LESS THAN")));
  plan.dense_weights = std::uint64_t{1} << 60;
  EXPECT_THAT(render(plan, 0, PlanFormat::text), HasSubstr("LESS THAN THE TOTAL"));
}

TEST(PlanTable, JsonHasBytes) {
  const auto json = nlohmann::json::parse(render(some_plan(), 87 * kMiB, PlanFormat::json));
  EXPECT_EQ(json["dense_weights"], 20 * kMiB);
  EXPECT_EQ(json["total"], 87 * kMiB);
  EXPECT_EQ(json["limit"], 87 * kMiB);
  EXPECT_EQ(json["floor"], 36 * kMiB);
  EXPECT_EQ(json["session_tokens"], 2048);
  EXPECT_TRUE(nlohmann::json::parse(render(some_plan(), 0, PlanFormat::json))["limit"].is_null());
}

TEST(PlanTable, KnowsTwoFormats) {
  EXPECT_EQ(parse_plan_format("text"), PlanFormat::text);
  EXPECT_EQ(parse_plan_format("json"), PlanFormat::json);
  EXPECT_EQ(testing_support::error_of([] { parse_plan_format("sql"); }).where, "--plan");
}

}  // namespace
}  // namespace switchyard::cli
