#include "base/memory_info.h"

#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <string>
#include <vector>

namespace switchyard {
namespace {

TEST(MemoryInfo, ReadsTheFilesOfTheKernel) {
  const std::map<std::string, std::string> files{
      {"/proc/self/status", "Name:\tx\nVmPeak:\t 999 kB\nVmHWM:\t  300 kB\nVmRSS:\t  200 kB\n"},
      {"/proc/meminfo", "MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    500 kB\n"},
      {"/proc/self/mountinfo", "30 24 0:26 / /cg rw - cgroup2 cgroup2 rw\n"},
      {"/proc/self/cgroup", "0::/\n"},
      {"/cg/memory.max", "400000\n"},
  };
  const auto read = [&](const std::string& path) -> std::optional<std::string> {
    const auto found = files.find(path);
    if (found == files.end()) return std::nullopt;
    return found->second;
  };
  EXPECT_EQ(process_memory(read).resident, 200u * 1024);
  EXPECT_EQ(process_memory(read).peak_resident, 300u * 1024);
  EXPECT_EQ(system_memory(read).total, 1000u * 1024);
  EXPECT_EQ(system_memory(read).available, 500u * 1024);
  EXPECT_EQ(usable_memory(read), 400000u);
}

TEST(MemoryInfo, UnknownIsZero) {
  const auto read = [](const std::string&) {
    return std::optional<std::string>("MemTotal: lots\nVmRSS:");
  };
  EXPECT_EQ(process_memory(read).resident, 0u);
  EXPECT_EQ(system_memory(read).total, 0u);
}

TEST(MemoryInfo, SeesAnAllocationOfThisProcess) {
  if (process_memory().resident == 0) GTEST_SKIP() << "no /proc here";
  const auto before = process_memory();
  std::vector<char> block(std::size_t{64} << 20);
  std::memset(block.data(), 1, block.size());
  const auto after = process_memory();
  EXPECT_GE(after.resident, before.resident + (std::size_t{60} << 20));
  EXPECT_GE(after.peak_resident, after.resident);
  EXPECT_GE(usable_memory(), after.resident);
  EXPECT_EQ(block[block.size() / 2], 1);
}

}  // namespace
}  // namespace switchyard
