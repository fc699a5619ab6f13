#include "base/memory_info.h"

#include <algorithm>
#include <sstream>
#include <string>
#include <string_view>

namespace switchyard {
namespace {

// The value of a line "Name:   1234 kB", in bytes.
std::uint64_t field_in_bytes(const std::string& text, std::string_view name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.compare(0, name.size(), name) != 0 || line.size() <= name.size() ||
        line[name.size()] != ':') {
      continue;
    }
    std::istringstream words(line.substr(name.size() + 1));
    std::uint64_t kibibytes = 0;
    std::string unit;
    if (words >> kibibytes >> unit && unit == "kB") return kibibytes * 1024;
  }
  return 0;
}

}  // namespace

ProcessMemory process_memory(const cgroup::Reader& read) {
  const std::string status = read("/proc/self/status").value_or("");
  return {field_in_bytes(status, "VmRSS"), field_in_bytes(status, "VmHWM")};
}

SystemMemory system_memory(const cgroup::Reader& read) {
  const std::string info = read("/proc/meminfo").value_or("");
  return {field_in_bytes(info, "MemTotal"), field_in_bytes(info, "MemAvailable")};
}

std::uint64_t usable_memory(const cgroup::Reader& read) {
  const std::uint64_t machine = system_memory(read).total;
  const auto limit = cgroup::memory(read).limit;
  if (!limit) return machine;
  return machine == 0 ? *limit : std::min(machine, *limit);
}

}  // namespace switchyard
