#include "train/provenance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace switchyard::train {
namespace {

TEST(Provenance, NamesCoresMemoryDeviceAndThreads) {
  EXPECT_THAT(machine_description("cuda:0", 1),
              testing::MatchesRegex(".+, [0-9]+ cores?, [0-9.]+ GiB; cuda:0, 1 thread"));
  EXPECT_THAT(machine_description("cpu", 2), testing::EndsWith("; cpu, 2 threads"));
}

}  // namespace
}  // namespace switchyard::train
