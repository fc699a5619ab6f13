// Least recently used: the slab whose last use (or read, if it was never used) is longest ago goes.
//
// Good when the routes of neighbouring tokens resemble each other and a whole step's experts fit.
// Below that, the layers are a cyclic scan and LRU throws away exactly what comes next.
#pragma once

#include <list>
#include <unordered_map>

#include "switchyard/experts.h"

namespace switchyard::experts {

class Lru : public Policy {
 public:
  std::string_view name() const override { return "lru"; }
  void on_insert(SlabId id, std::uint64_t bytes) override;
  void on_use(SlabId id) override;
  void on_evict(SlabId id) override;
  std::optional<SlabId> victim(const Evictable& evictable) override;

 private:
  std::list<SlabId> order_;  // least recent first
  std::unordered_map<std::uint64_t, std::list<SlabId>::iterator> where_;
};

}  // namespace switchyard::experts
