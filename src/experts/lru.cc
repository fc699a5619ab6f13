#include "experts/lru.h"

#include "base/check.h"
#include "experts/slab_key.h"

namespace switchyard::experts {

void Lru::on_insert(SlabId id, std::uint64_t /*bytes*/) {
  order_.push_back(id);
  const bool fresh = where_.emplace(slab_key(id), std::prev(order_.end())).second;
  SWITCHYARD_CHECK(fresh);
}

void Lru::on_use(SlabId id) {
  const auto found = where_.find(slab_key(id));
  SWITCHYARD_CHECK(found != where_.end());
  order_.splice(order_.end(), order_, found->second);
}

void Lru::on_evict(SlabId id) {
  const auto found = where_.find(slab_key(id));
  SWITCHYARD_CHECK(found != where_.end());
  order_.erase(found->second);
  where_.erase(found);
}

std::optional<SlabId> Lru::victim(const Evictable& evictable) {
  for (const SlabId id : order_) {
    if (evictable(id)) return id;
  }
  return std::nullopt;
}

}  // namespace switchyard::experts
