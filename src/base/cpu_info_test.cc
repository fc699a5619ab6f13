#include "base/cpu_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <sstream>
#include <string>

namespace switchyard {
namespace {

TEST(CpuInfo, ReadsModelAndCaches) {
  const std::string cache = "/sys/devices/system/cpu/cpu0/cache/index";
  const std::map<std::string, std::string> files{
      {"/proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: other\n"},
      {cache + "0/level", "1\n"},
      {cache + "0/type", "Data\n"},
      {cache + "0/size", "32K\n"},
      {cache + "1/level", "1\n"},
      {cache + "1/type", "Instruction\n"},
      {cache + "1/size", "64K\n"},
      {cache + "2/level", "2\n"},
      {cache + "2/type", "Unified\n"},
      {cache + "2/size", "1024K\n"},
      {cache + "3/level", "3\n"},
      {cache + "3/type", "Unified\n"},
      {cache + "3/size", "32M\n"},
  };
  const CpuInfo info = cpu_info([&](const std::string& path) -> std::optional<std::string> {
    const auto found = files.find(path);
    if (found == files.end()) return std::nullopt;
    return found->second;
  });
  EXPECT_EQ(info.model, "Some CPU @ 2 GHz");
  EXPECT_EQ(info.level1, 32u << 10);
  EXPECT_EQ(info.level2, 1u << 20);
  EXPECT_EQ(info.level3, 32u << 20);
  EXPECT_GE(info.cores, 1);
}

TEST(CpuInfo, UnknownIsSaidSo) {
  const CpuInfo nothing = cpu_info([](const std::string&) { return std::optional<std::string>(); });
  EXPECT_EQ(nothing.model, "unknown");
  EXPECT_EQ(nothing.level3, 0u);
  const CpuInfo garbage =
      cpu_info([](const std::string&) { return std::optional<std::string>("model name"); });
  EXPECT_EQ(garbage.model, "unknown");
  EXPECT_EQ(garbage.level1, 0u);
}

// The kernel reads the same register: what we claim must be in its list.
TEST(CpuInfo, FeaturesAgreeWithTheKernel) {
  const std::string text = cgroup::read_system_file("/proc/cpuinfo").value_or("");
  const auto start = text.find("\nflags");
  if (start == std::string::npos) GTEST_SKIP() << "no x86 flags here";
  const std::string flags = text.substr(start, text.find('\n', start + 1) - start) + " ";
  std::istringstream names(feature_names(cpu_features()));
  for (std::string name; names >> name;) {
    if (name == "none") continue;
    EXPECT_THAT(flags, testing::HasSubstr(" " + name + " "));
  }
}

TEST(CpuInfo, NamesOfFeatures) {
  EXPECT_EQ(feature_names({}), "none");
  EXPECT_EQ(feature_names({.avx2 = true, .avx512_bf16 = true}), "avx2 avx512_bf16");
}

}  // namespace
}  // namespace switchyard
