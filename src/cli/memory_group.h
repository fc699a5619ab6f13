// A memory control group of its own for a child process, so that its peak is what the kernel
// counted and not what the process believes. Works where this process may make groups (cgroup v1 or
// v2, usually root); elsewhere there is none.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace switchyard::cli {

class MemoryGroup {
 public:
  // Makes an empty group below this process's own; enabled() is false if that is not allowed.
  MemoryGroup();
  MemoryGroup(const MemoryGroup&) = delete;
  MemoryGroup& operator=(const MemoryGroup&) = delete;
  ~MemoryGroup();  // removes the group; its processes must be gone

  bool enabled() const { return !directory_.empty(); }
  // The file into which a process writes "0" to join. Empty without a group.
  std::string join_file() const;
  // Most bytes the group ever held.
  std::optional<std::uint64_t> peak() const;

 private:
  std::string directory_;
  bool v2_ = false;
};

}  // namespace switchyard::cli
