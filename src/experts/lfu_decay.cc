#include "experts/lfu_decay.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "experts/slab_key.h"

namespace switchyard::experts {
namespace {

// log2(2^a + 2^b) without leaving the range of a double.
double log2_sum(double a, double b) {
  const double high = std::max(a, b);
  const double low = std::min(a, b);
  return high + std::log2(1.0 + std::exp2(low - high));
}

}  // namespace

void LfuDecay::on_insert(SlabId id, std::uint64_t /*bytes*/) {
  Known& known = known_[slab_key(id)];
  SWITCHYARD_CHECK(!known.resident);
  known.resident = true;
  residents_.emplace(known.score, id);
}

void LfuDecay::on_use(SlabId id) {
  const auto found = known_.find(slab_key(id));
  SWITCHYARD_CHECK(found != known_.end() && found->second.resident);
  Known& known = found->second;
  half_lives_ += 1.0 / (kUsesPerHalfLife * static_cast<double>(known_.size()));
  auto node = residents_.extract(Rank{known.score, id});
  known.score = log2_sum(known.score, half_lives_);
  node.value() = Rank{known.score, id};
  residents_.insert(std::move(node));
}

void LfuDecay::on_evict(SlabId id) {
  const auto found = known_.find(slab_key(id));
  SWITCHYARD_CHECK(found != known_.end() && found->second.resident);
  found->second.resident = false;
  residents_.erase(Rank{found->second.score, id});
}

std::optional<SlabId> LfuDecay::victim(const Evictable& evictable) {
  for (const auto& [score, id] : residents_) {
    if (evictable(id)) return id;
  }
  return std::nullopt;
}

}  // namespace switchyard::experts
