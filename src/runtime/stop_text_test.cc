#include "runtime/stop_text.h"

#include <gtest/gtest.h>

namespace switchyard::runtime {
namespace {

TEST(StopText, PassesTextThroughWhenThereIsNothingToStopAt) {
  StopText stop({});
  EXPECT_EQ(stop.push("abc"), "abc");
  EXPECT_EQ(stop.finish(), "");
  EXPECT_FALSE(stop.found());
}

TEST(StopText, HoldsBackOnlyWhatMayBecomeAStopText) {
  StopText stop({"END", "EN!"});
  EXPECT_EQ(stop.push("the E"), "the ");
  EXPECT_EQ(stop.push("N"), "");
  EXPECT_EQ(stop.push("Diff"), "");
  EXPECT_TRUE(stop.found());
  EXPECT_EQ(stop.push("more"), "");
  EXPECT_EQ(stop.finish(), "");
}

TEST(StopText, GivesBackWhatTurnedOutHarmless) {
  StopText stop({"END"});
  EXPECT_EQ(stop.push("EN"), "");
  EXPECT_EQ(stop.push("TER E"), "ENTER ");
  EXPECT_EQ(stop.finish(), "E");
  EXPECT_FALSE(stop.found());
}

TEST(StopText, StopsAtTheEarliestOfSeveral) {
  StopText stop({"yy", "x"});
  EXPECT_EQ(stop.push("ab x yy"), "ab ");
  EXPECT_TRUE(stop.found());
}

// Whatever the pieces, the text before the stop text is the same.
TEST(StopText, DoesNotDependOnThePieces) {
  const std::string text = "aababaabbaabab-tail";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    StopText stop({"abab-", "bba"});
    std::string out;
    for (std::size_t at = 0; at < text.size() && !stop.found(); at += size)
      out += stop.push(text.substr(at, size));
    out += stop.finish();
    EXPECT_EQ(out, "aababaa") << size;
  }
}

TEST(StopText, IgnoresEmptyTexts) {
  StopText stop({""});
  EXPECT_EQ(stop.push("a"), "a");
  EXPECT_FALSE(stop.found());
}

}  // namespace
}  // namespace switchyard::runtime
