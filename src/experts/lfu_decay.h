// Decayed frequency: every use counts 1, and a use loses half its weight in each half-life.
//
// Time is counted in uses, so a trace gives the same victims at any speed: one half-life is the
// time in which every slab seen so far is used kUsesPerHalfLife times on average. For 64 experts a
// layer and 8 chosen per token that is 128 tokens, for any number of layers.
//
// Counts of slabs that left are kept, so that a slab that comes back is worth what it was. Ties go
// to the lower slab id. Cost of a use or a victim: O(log n).
//
// Instead of decaying every count at every use, a count is stored as the base-2 logarithm of
// count * 2^time: growing time decays all others, the order of two slabs never changes by waiting,
// and nothing overflows.
#pragma once

#include <limits>
#include <set>
#include <unordered_map>
#include <utility>

#include "switchyard/experts.h"

namespace switchyard::experts {

class LfuDecay : public Policy {
 public:
  static constexpr double kUsesPerHalfLife = 16;

  std::string_view name() const override { return "lfu-decay"; }
  void on_insert(SlabId id, std::uint64_t bytes) override;
  void on_use(SlabId id) override;
  void on_evict(SlabId id) override;
  std::optional<SlabId> victim(const Evictable& evictable) override;

 private:
  struct Known {
    double score = -std::numeric_limits<double>::infinity();  // log2(count * 2^time); none: count 0
    bool resident = false;
  };
  using Rank = std::pair<double, SlabId>;

  double half_lives_ = 0;  // time passed
  std::unordered_map<std::uint64_t, Known> known_;
  std::set<Rank> residents_;  // least worth first
};

}  // namespace switchyard::experts
