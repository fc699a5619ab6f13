#include "base/utc_time.h"

#include <gtest/gtest.h>

namespace switchyard {
namespace {

TEST(UtcTime, IsIso8601) {
  using std::chrono::system_clock;
  EXPECT_EQ(utc_time(system_clock::from_time_t(0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(utc_time(system_clock::from_time_t(1'000'000'000)), "2001-09-09T01:46:40Z");
}

}  // namespace
}  // namespace switchyard
