// How much memory this process uses and may use.
#pragma once

#include <cstdint>
#include <optional>

#include "base/cgroup.h"

namespace switchyard {

struct ProcessMemory {
  std::uint64_t resident = 0;       // bytes in memory now
  std::uint64_t peak_resident = 0;  // the most there ever were
};
// Zeros where the system does not tell.
ProcessMemory process_memory(const cgroup::Reader& read = cgroup::read_system_file);

struct SystemMemory {
  std::uint64_t total = 0;      // bytes of the machine
  std::uint64_t available = 0;  // bytes that could be used without swapping
};
SystemMemory system_memory(const cgroup::Reader& read = cgroup::read_system_file);

// Bytes this process can use: the machine's memory or the limit of its control groups, whichever is
// smaller.
std::uint64_t usable_memory(const cgroup::Reader& read = cgroup::read_system_file);

}  // namespace switchyard
