#include "cli/memory_group.h"

#include <filesystem>
#include <fstream>
#include <unistd.h>

#include "base/cgroup.h"

namespace switchyard::cli {

MemoryGroup::MemoryGroup() {
  const auto own = cgroup::find_group(cgroup::Controller::memory);
  if (!own || own->directories.empty()) return;
  v2_ = own->version == cgroup::Version::v2;
  const std::string directory =
      own->directories.front() + "/switchyard-" + std::to_string(getpid());
  std::error_code error;
  if (!std::filesystem::create_directory(directory, error)) return;
  directory_ = directory;
  if (!peak()) {  // e.g. v2 without the memory controller handed down
    std::filesystem::remove(directory_, error);
    directory_.clear();
  }
}

MemoryGroup::~MemoryGroup() {
  // A directory of a control group is removed as such; its files are not files.
  if (enabled()) static_cast<void>(rmdir(directory_.c_str()));
}

std::string MemoryGroup::join_file() const {
  return enabled() ? directory_ + "/cgroup.procs" : std::string();
}

std::optional<std::uint64_t> MemoryGroup::peak() const {
  std::ifstream in(directory_ + (v2_ ? "/memory.peak" : "/memory.max_usage_in_bytes"));
  std::uint64_t bytes = 0;
  if (in >> bytes) return bytes;
  return std::nullopt;
}

}  // namespace switchyard::cli
