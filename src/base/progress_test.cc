#include "base/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sstream>
#include <string>

#include "base/text.h"

namespace switchyard {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

TEST(ProgressMeter, PlainLinesNowAndThen) {
  FakeClock clock;
  std::ostringstream out;
  ProgressMeter meter(out, clock, {.title = "train", .total = 1000, .unit = "steps"});
  for (std::uint64_t step = 1; step <= 250; ++step) {
    clock.advance(0.125);
    meter.field("loss", 3.2149);
    meter.update(step);
  }
  meter.finish();
  meter.finish();
  EXPECT_EQ(out.str(),
            "train: 80/1000 steps (8%), 8.00/s, 1:55 left, loss=3.21\n"
            "train: 160/1000 steps (16%), 8.00/s, 1:45 left, loss=3.21\n"
            "train: 240/1000 steps (24%), 8.00/s, 1:35 left, loss=3.21\n"
            "train: 250/1000 steps (25%), 8.00/s, 0:31, loss=3.21\n");
}

TEST(ProgressMeter, ALineRedrawnOnATerminal) {
  FakeClock clock;
  std::ostringstream out;
  ProgressMeter meter(
      out, clock, {.title = "read", .total = 200, .unit = "files", .terminal = true, .width = 70});
  clock.advance(0.01);
  meter.update(1);
  EXPECT_EQ(out.str(), "");  // too soon
  clock.advance(0.99);
  meter.update(50);
  EXPECT_EQ(out.str(),
            "\rread [======>                 ]  25%  50/200 files  50.0/s  0:03 left\x1b[K");
  clock.advance(3);
  meter.update(200);
  out.str("");
  meter.finish();
  EXPECT_EQ(out.str(),
            "\rread [============================] 100%  200/200 files  50.0/s  0:04\x1b[K\n");
}

TEST(ProgressMeter, NeverWiderThanTheTerminal) {
  for (int width = 1; width < 120; ++width) {
    FakeClock clock;
    std::ostringstream out;
    ProgressMeter meter(
        out, clock,
        {.title = "専門家", .total = 10, .unit = "steps", .terminal = true, .width = width});
    meter.field("loss", "3.21");
    clock.advance(1);
    meter.update(3);
    std::string line = out.str();
    ASSERT_THAT(line, EndsWith("\x1b[K"));
    line = line.substr(1, line.size() - 4);
    EXPECT_LE(display_width(line), static_cast<std::size_t>(std::max(width - 1, 1)));
  }
}

TEST(ProgressMeter, WithoutATotalThereIsNoEnd) {
  FakeClock clock;
  std::ostringstream out;
  ProgressMeter meter(out, clock, {.unit = "tokens", .terminal = true});
  clock.advance(2);
  meter.update(5);
  EXPECT_EQ(out.str(), "\r5 tokens  2.50/s\x1b[K");
}

TEST(ProgressMeter, BytesAreForPeople) {
  FakeClock clock;
  std::ostringstream out;
  ProgressMeter meter(out, clock, {.title = "pack", .total = 4u << 20, .unit = "bytes"});
  clock.advance(10);
  meter.update(1u << 20);
  EXPECT_EQ(out.str(), "pack: 1.00 MiB/4.00 MiB (25%), 102 KiB/s, 0:30 left\n");
}

TEST(ProgressMeter, WhatWasDoneBeforeAResumeIsNotSpeed) {
  FakeClock clock;
  std::ostringstream out;
  ProgressMeter meter(out, clock, {.total = 1000, .start = 900, .unit = "steps"});
  clock.advance(10);
  meter.update(910);
  EXPECT_EQ(out.str(), "910/1000 steps (91%), 1.00/s, 1:30 left\n");
}

TEST(ProgressMeter, TheRateFollowsAChangeOfSpeed) {
  FakeClock clock;
  std::ostringstream out;
  ProgressMeter meter(out, clock, {.total = 100000, .unit = "steps", .line_seconds = 5});
  std::uint64_t step = 0;
  for (int i = 0; i < 60; ++i) {
    clock.advance(5);
    meter.update(step += 50);
  }
  for (int i = 0; i < 24; ++i) {
    clock.advance(5);
    out.str("");
    meter.update(step += 500);
  }
  EXPECT_THAT(out.str(), HasSubstr("100/s"));  // 10/s for five minutes, then 100/s for two
}

TEST(ProgressMeter, NotesGoAboveTheBar) {
  FakeClock clock;
  std::ostringstream out;
  ProgressMeter meter(out, clock, {.total = 10, .terminal = true, .width = 60});
  meter.note("before anything is drawn");
  clock.advance(1);
  meter.update(5);
  out.str("");
  meter.note("checkpoint written");
  EXPECT_THAT(out.str(), testing::StartsWith("\r\x1b[Kcheckpoint written\n\r["));
}

TEST(ProgressMeter, AnUnfinishedLineIsEnded) {
  FakeClock clock;
  std::ostringstream out;
  {
    ProgressMeter meter(out, clock, {.total = 10, .terminal = true});
    clock.advance(1);
    meter.update(5);
    EXPECT_THAT(out.str(), Not(EndsWith("\n")));
  }
  EXPECT_THAT(out.str(), EndsWith("\n"));
  std::ostringstream quiet;
  { ProgressMeter meter(quiet, clock, {.total = 10, .terminal = true}); }
  EXPECT_EQ(quiet.str(), "");
}

TEST(ProgressMeter, MoreThanTheTotalDoesNotOverflow) {
  FakeClock clock;
  std::ostringstream out;
  ProgressMeter meter(out, clock, {.total = 10, .terminal = true});
  clock.advance(1);
  meter.update(20);
  EXPECT_THAT(out.str(), HasSubstr("100%"));
  clock.advance(1);
  meter.update(3);  // going back is odd, but no reason to fail
  EXPECT_THAT(out.str(), HasSubstr(" 30%"));
}

}  // namespace
}  // namespace switchyard
