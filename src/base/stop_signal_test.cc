#include "base/stop_signal.h"

#include <gtest/gtest.h>
#include <latch>
#include <signal.h>

#include "base/check.h"

namespace switchyard {
namespace {

TEST(StopSignal, TurnsASignalIntoAStop) {
  for (const int number : {SIGINT, SIGTERM}) {
    const StopSignal stop;
    EXPECT_FALSE(stop.token().stop_requested());
    EXPECT_EQ(stop.signal(), 0);
    std::latch stopped(1);
    const std::stop_callback callback(stop.token(), [&] { stopped.count_down(); });
    ASSERT_EQ(::raise(number), 0);
    stopped.wait();
    EXPECT_TRUE(stop.token().stop_requested());
    EXPECT_EQ(stop.signal(), number);
  }
}

TEST(StopSignal, RestoresTheHandlersBefore) {
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  struct sigaction original {};
  ::sigaction(SIGTERM, &ignore, &original);
  { const StopSignal stop; }
  struct sigaction now {};
  ::sigaction(SIGTERM, &original, &now);
  EXPECT_EQ(now.sa_handler, SIG_IGN);
}

TEST(StopSignal, OnlyOneAtATime) {
  const StopSignal first;
  EXPECT_THROW(StopSignal(), InternalError);
}

TEST(StopSignalDeathTest, TheSecondSignalEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        const StopSignal stop;
        std::latch stopped(1);
        const std::stop_callback callback(stop.token(), [&] { stopped.count_down(); });
        ::raise(SIGINT);
        stopped.wait();
        ::raise(SIGINT);
      },
      testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace switchyard
