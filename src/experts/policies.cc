// The table of eviction policies. A new one is a class beside lru.h and a row here.
#include <array>
#include <string>

#include "switchyard/error.h"
#include "switchyard/experts.h"

#include "experts/lfu_decay.h"
#include "experts/lru.h"

namespace switchyard::experts {
namespace {

template <typename T>
std::unique_ptr<Policy> make() {
  return std::make_unique<T>();
}

constexpr std::array kPolicies = {
    PolicyEntry{"lru", "least recently used goes first", make<Lru>},
    PolicyEntry{"lfu-decay", "least frequently used goes first, old uses count less",
                make<LfuDecay>},
};

}  // namespace

std::span<const PolicyEntry> policies() { return kPolicies; }

std::unique_ptr<Policy> make_policy(std::string_view name) {
  std::string names;
  for (const PolicyEntry& entry : kPolicies) {
    if (entry.name == name) return entry.make();
    names += (names.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw Error({.what = "unknown expert policy '" + std::string(name) + "'",
               .where = "expert policy",
               .expected = "one of: " + names});
}

}  // namespace switchyard::experts
