#include "base/cgroup.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>

namespace switchyard::cgroup {
namespace {

struct Mount {
  Version version;
  std::string root;   // the group that is mounted
  std::string point;  // where
};

bool has_item(std::string_view list, std::string_view item) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    if (list.substr(0, comma) == item) return true;
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return false;
}

std::string_view controller_name(Controller controller) {
  return controller == Controller::cpu ? "cpu" : "memory";
}

// A line of mountinfo: id parent major:minor root point options [tags...] - type source
// super-options
std::optional<Mount> find_mount(const std::string& mountinfo, Controller controller) {
  std::optional<Mount> unified;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    const std::vector<std::string> word{std::istream_iterator<std::string>(words), {}};
    const auto dash = std::find(word.begin(), word.end(), "-");
    if (word.size() < 5 || word.end() - dash < 4) continue;
    const std::string& type = dash[1];
    if (type == "cgroup" && has_item(dash[3], controller_name(controller))) {
      return Mount{Version::v1, word[3], word[4]};
    }
    if (type == "cgroup2") unified = Mount{Version::v2, word[3], word[4]};
  }
  return unified;
}

// A line of /proc/self/cgroup: id:controllers:path; version 2 has id 0 and no controllers.
std::optional<std::string> find_path(const std::string& groups, Version version,
                                     Controller controller) {
  std::istringstream lines(groups);
  for (std::string line; std::getline(lines, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string_view controllers =
        std::string_view(line).substr(first + 1, second - first - 1);
    const bool match = version == Version::v2 ? controllers.empty()
                                              : has_item(controllers, controller_name(controller));
    if (match) return line.substr(second + 1);
  }
  return std::nullopt;
}

std::string below_mount(const std::string& path, const std::string& root) {
  std::string rest = path;
  if (root != "/" && path.compare(0, root.size(), root) == 0) rest = path.substr(root.size());
  if (rest.find("..") != std::string::npos) return {};
  while (!rest.empty() && rest.back() == '/') rest.pop_back();
  return rest;
}

std::optional<std::uint64_t> number(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  // "max" and -1 mean unlimited.
  if (error != std::errc() || end == text->data()) return std::nullopt;
  return value;
}

std::optional<double> quota_of(const std::string& directory, Version version, const Reader& read) {
  double quota = 0;
  double period = 0;
  if (version == Version::v2) {
    const auto text = read(directory + "/cpu.max");
    if (!text) return std::nullopt;
    std::istringstream words(*text);
    if (!(words >> quota >> period)) return std::nullopt;  // "max 100000"
  } else {
    const auto allowed = number(read(directory + "/cpu.cfs_quota_us"));
    const auto every = number(read(directory + "/cpu.cfs_period_us"));
    if (!allowed || !every) return std::nullopt;
    quota = static_cast<double>(*allowed);
    period = static_cast<double>(*every);
  }
  if (quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

}  // namespace

std::optional<std::string> read_system_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file.bad()) return std::nullopt;
  return text;
}

std::optional<Group> find_group(Controller controller, const Reader& read) {
  const auto mountinfo = read("/proc/self/mountinfo");
  const auto groups = read("/proc/self/cgroup");
  if (!mountinfo || !groups) return std::nullopt;
  const auto mount = find_mount(*mountinfo, controller);
  if (!mount) return std::nullopt;
  Group group;
  group.version = mount->version;
  std::string rest =
      below_mount(find_path(*groups, mount->version, controller).value_or("/"), mount->root);
  // cgroup.procs is in every group of both versions.
  if (!rest.empty() && !read(mount->point + rest + "/cgroup.procs")) rest.clear();
  while (true) {
    group.directories.push_back(mount->point + rest);
    if (rest.empty()) break;
    rest.erase(rest.find_last_of('/'));
  }
  return group;
}

std::optional<double> cpu_quota(const Reader& read) {
  const auto group = find_group(Controller::cpu, read);
  if (!group) return std::nullopt;
  std::optional<double> smallest;
  for (const std::string& directory : group->directories) {
    const auto quota = quota_of(directory, group->version, read);
    if (quota && (!smallest || *quota < *smallest)) smallest = quota;
  }
  return smallest;
}

Memory memory(const Reader& read) {
  const auto group = find_group(Controller::memory, read);
  if (!group) return {};
  const bool v2 = group->version == Version::v2;
  Memory memory;
  for (const std::string& directory : group->directories) {
    const auto limit = number(read(directory + (v2 ? "/memory.max" : "/memory.limit_in_bytes")));
    // Version 1 writes "unlimited" as the largest multiple of the page size.
    if (limit && *limit < (std::uint64_t{1} << 62) && (!memory.limit || *limit < *memory.limit)) {
      memory.limit = limit;
    }
  }
  const std::string& own = group->directories.front();
  memory.usage = number(read(own + (v2 ? "/memory.current" : "/memory.usage_in_bytes")));
  memory.peak = number(read(own + (v2 ? "/memory.peak" : "/memory.max_usage_in_bytes")));
  return memory;
}

}  // namespace switchyard::cgroup
