#include "train/run_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/memory_file_system.h"
#include "train/curves.h"

namespace switchyard::train {
namespace {

using testing_support::MemoryFileSystem;

TEST(RunLog, ResumeKeepsLinesUpToTheCheckpointAndDropsACutOne) {
  MemoryFileSystem fs;
  {
    RunLog log(fs, "log.jsonl", -1);
    for (int step = 1; step <= 4; ++step) log.write({{"event", "step"}, {"step", step}});
    log.sync();
  }
  fs.put("log.jsonl", read_file(fs, "log.jsonl") + "{\"event\": \"st");
  EXPECT_EQ(read_log(fs, "log.jsonl").size(), 4U);
  {
    RunLog log(fs, "log.jsonl", 2);
    log.write({{"event", "step"}, {"step", 3}, {"again", true}});
  }
  const auto lines = read_log(fs, "log.jsonl");
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[2].value("again", false), true);
  RunLog(fs, "log.jsonl", -1);
  EXPECT_TRUE(read_log(fs, "log.jsonl").empty());
}

TEST(Curves, AreDrawnFromTheLog) {
  const std::string svg = draw_curves({{{"event", "step"}, {"step", 1}, {"mean_loss", 5.0}},
                                       {{"event", "step"}, {"step", 2}, {"mean_loss", 4.0}},
                                       {{"event", "evaluation"}, {"step", 2}, {"valid_loss", 4.5}},
                                       {{"event", "warning"}, {"step", 2}}},
                                      "a < b");
  EXPECT_THAT(svg, ::testing::HasSubstr("<svg"));
  EXPECT_THAT(svg, ::testing::HasSubstr("a &lt; b"));
  EXPECT_THAT(svg, ::testing::HasSubstr("validation"));
}

}  // namespace
}  // namespace switchyard::train
