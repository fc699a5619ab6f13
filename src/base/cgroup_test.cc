#include "base/cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>
#include <string>

namespace switchyard::cgroup {
namespace {

using testing::ElementsAre;
using Files = std::map<std::string, std::string>;

Reader reader(Files files) {
  return [files = std::move(files)](const std::string& path) -> std::optional<std::string> {
    const auto found = files.find(path);
    if (found == files.end()) return std::nullopt;
    return found->second;
  };
}

Files version_two() {
  return {
      {"/proc/self/mountinfo",
       "24 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
       "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"},
      {"/proc/self/cgroup", "0::/user.slice/job\n"},
      {"/sys/fs/cgroup/user.slice/job/cgroup.procs", "1\n"},
  };
}

Files version_one() {
  return {
      {"/proc/self/mountinfo",
       "33 25 0:28 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
       "34 25 0:29 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
       "35 25 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"},
      {"/proc/self/cgroup",
       "4:memory:/docker/abc/inner\n3:cpuacct,cpu:/docker/abc\n0::/docker/abc\n"},
      {"/sys/fs/cgroup/memory/inner/cgroup.procs", "1\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/cgroup.procs", "1\n"},
  };
}

TEST(Cgroup, FindsTheGroupAndThoseAboveIt) {
  const auto two = find_group(Controller::memory, reader(version_two()));
  ASSERT_TRUE(two);
  EXPECT_EQ(two->version, Version::v2);
  EXPECT_THAT(two->directories, ElementsAre("/sys/fs/cgroup/user.slice/job",
                                            "/sys/fs/cgroup/user.slice", "/sys/fs/cgroup"));

  const auto one = find_group(Controller::memory, reader(version_one()));
  ASSERT_TRUE(one);
  EXPECT_EQ(one->version, Version::v1);
  EXPECT_THAT(one->directories,
              ElementsAre("/sys/fs/cgroup/memory/inner", "/sys/fs/cgroup/memory"));
  EXPECT_THAT(find_group(Controller::cpu, reader(version_one()))->directories,
              ElementsAre("/sys/fs/cgroup/cpu,cpuacct"));
}

TEST(Cgroup, APathThatIsNotVisibleMeansTheMountPoint) {
  Files files = version_two();
  files.erase("/sys/fs/cgroup/user.slice/job/cgroup.procs");
  EXPECT_THAT(find_group(Controller::cpu, reader(files))->directories,
              ElementsAre("/sys/fs/cgroup"));
  files["/proc/self/cgroup"] = "0::/../../outside\n";
  EXPECT_THAT(find_group(Controller::cpu, reader(files))->directories,
              ElementsAre("/sys/fs/cgroup"));
}

TEST(Cgroup, NothingIsNothing) {
  EXPECT_FALSE(find_group(Controller::cpu, reader({})));
  EXPECT_FALSE(cpu_quota(reader({})));
  EXPECT_FALSE(memory(reader({})).limit);
  EXPECT_FALSE(find_group(Controller::cpu, reader({{"/proc/self/mountinfo", "garbage\n-\n - \n"},
                                                   {"/proc/self/cgroup", "::\nx"}})));
}

TEST(Cgroup, TheSmallestQuotaCounts) {
  Files files = version_two();
  files["/sys/fs/cgroup/user.slice/job/cpu.max"] = "max 100000\n";
  EXPECT_FALSE(cpu_quota(reader(files)));
  files["/sys/fs/cgroup/user.slice/cpu.max"] = "150000 100000\n";
  EXPECT_DOUBLE_EQ(cpu_quota(reader(files)).value(), 1.5);
  files["/sys/fs/cgroup/user.slice/job/cpu.max"] = "50000 100000\n";
  EXPECT_DOUBLE_EQ(cpu_quota(reader(files)).value(), 0.5);

  Files one = version_one();
  one["/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us"] = "-1\n";
  one["/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us"] = "100000\n";
  EXPECT_FALSE(cpu_quota(reader(one)));
  one["/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us"] = "200000\n";
  EXPECT_DOUBLE_EQ(cpu_quota(reader(one)).value(), 2);
}

TEST(Cgroup, MemoryOfBothVersions) {
  Files two = version_two();
  two["/sys/fs/cgroup/user.slice/job/memory.max"] = "max\n";
  two["/sys/fs/cgroup/user.slice/memory.max"] = "1000000\n";
  two["/sys/fs/cgroup/user.slice/job/memory.current"] = "5000\n";
  two["/sys/fs/cgroup/user.slice/job/memory.peak"] = "7000\n";
  EXPECT_EQ(memory(reader(two)).limit, 1000000u);
  EXPECT_EQ(memory(reader(two)).usage, 5000u);
  EXPECT_EQ(memory(reader(two)).peak, 7000u);

  Files one = version_one();
  one["/sys/fs/cgroup/memory/inner/memory.limit_in_bytes"] = "9223372036854771712\n";
  one["/sys/fs/cgroup/memory/inner/memory.max_usage_in_bytes"] = "7000\n";
  EXPECT_FALSE(memory(reader(one)).limit);
  EXPECT_EQ(memory(reader(one)).peak, 7000u);
  one["/sys/fs/cgroup/memory/memory.limit_in_bytes"] = "2000\n";
  EXPECT_EQ(memory(reader(one)).limit, 2000u);
}

}  // namespace
}  // namespace switchyard::cgroup
