// What the control groups of this process allow: CPU quota and memory, for cgroup v1 and v2.
//
// A group is limited by its own files and by those of every group above it, so the smallest limit
// counts. Inside a container the path in /proc/self/cgroup may not be visible; then the group
// mounted at the top is the container's own.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace switchyard::cgroup {

// Reads a small file; nothing if it does not exist or cannot be read. A test passes a table of
// texts.
using Reader = std::function<std::optional<std::string>(const std::string& path)>;
std::optional<std::string> read_system_file(const std::string& path);

enum class Controller { cpu, memory };
enum class Version { v1, v2 };

struct Group {
  Version version = Version::v2;
  // This process's group first, then the groups above it up to the mount point.
  std::vector<std::string> directories;
};

// Nothing if the controller is not mounted.
std::optional<Group> find_group(Controller controller, const Reader& read = read_system_file);

// Cores' worth of time a period, e.g. 1.5; nothing if unlimited.
std::optional<double> cpu_quota(const Reader& read = read_system_file);

struct Memory {
  std::optional<std::uint64_t> limit;  // bytes; nothing if unlimited
  std::optional<std::uint64_t> usage;  // bytes of this process's group
  std::optional<std::uint64_t>
      peak;  // highest usage since the group was made (v2: Linux 5.19 and later)
};
Memory memory(const Reader& read = read_system_file);

}  // namespace switchyard::cgroup
