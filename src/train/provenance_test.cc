#include "train/provenance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace switchyard::train {
namespace {

TEST(Provenance, TimeIsUtcInIso8601) {
  using std::chrono::system_clock;
  EXPECT_EQ(utc_time(system_clock::from_time_t(0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(utc_time(system_clock::from_time_t(1'000'000'000)), "2001-09-09T01:46:40Z");
}

TEST(Provenance, NamesCoresMemoryDeviceAndThreads) {
  EXPECT_THAT(machine_description("cuda:0", 1),
              testing::MatchesRegex(".+, [0-9]+ cores?, [0-9.]+ GiB; cuda:0, 1 thread"));
  EXPECT_THAT(machine_description("cpu", 2), testing::EndsWith("; cpu, 2 threads"));
}

}  // namespace
}  // namespace switchyard::train
