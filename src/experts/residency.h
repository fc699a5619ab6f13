// Which slabs have a slot: memory, eviction policy and the rules for what was read ahead. No I/O.
//
// Thread rule: one thread at a time (the cache's mutex).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "switchyard/experts.h"

#include "experts/slot.h"

namespace switchyard::experts::detail {

// Bytes a slot for this slab takes.
std::uint64_t slot_footprint(const Store& store, const Slab& slab);

class Residency {
 public:
  struct Counters {
    std::uint64_t evictions = 0;
    std::uint64_t useless_prefetches = 0;
  };

  // Throws Error if the largest slab, and the room to arrange one, do not fit the budget.
  Residency(const Store& store, std::uint64_t budget, std::unique_ptr<Policy> policy,
            CacheCore* core);

  Slot& slot(SlabId id);
  std::size_t wave_size(std::uint32_t layer) const { return wave_sizes_.at(layer); }

  // Evicts until the slot fits. False if too much is pinned or being read; what was evicted by then
  // stays evicted, since the caller waits for the rest.
  bool make_room(const Slot& slot);
  // As make_room for a read ahead: not at the cost of other reads ahead whose turn is to come, nor
  // of more than a share of the budget. `loading_ahead`: bytes of reads ahead in flight.
  bool make_room_ahead(const Slot& slot, std::uint64_t loading_ahead);

  // A slot's life. begin throws Error if the system is out of memory.
  void begin(Slot& slot, const SlotLayout& layout);  // room was made: gets memory
  void fail(Slot& slot);                             // its load failed: gives it back
  void finish(Slot& slot, unsigned uses);            // ready, asked for `uses` times so far
  void use(Slot& slot);                              // asked for while ready

  // A caller asks for this layer: what was read ahead for the one before has had its chance.
  // Returns the layer that was left, or nothing if it is the same still.
  std::optional<std::uint32_t> enter_layer(std::uint32_t layer);

  const SlotMemory& memory() const { return memory_; }
  const Policy& policy() const { return *policy_; }
  const Counters& counters() const { return counters_; }
  void reset_counters();

 private:
  struct Unproven {
    Slot* slot = nullptr;
    std::uint64_t since = 0;  // value of uses_
  };

  bool evict_one(bool spare_unproven);
  void evict(Slot& slot);
  void settle(Slot& slot, Ahead now);

  SlotMemory memory_;
  std::unique_ptr<Policy> policy_;
  std::vector<Slot> slots_;               // by layer and expert
  std::vector<std::size_t> layer_begin_;  // [L + 1], index of the layer's first slot
  std::vector<std::size_t> wave_sizes_;   // [L]
  bool all_fit_ = false;

  std::optional<std::uint32_t> layer_;  // last asked for
  std::uint64_t acquires_ = 0;
  std::uint64_t uses_ = 0;
  std::vector<std::uint64_t> left_at_;  // [L], value of acquires_ when callers went on from it
  std::deque<Unproven> unproven_;       // oldest first; may name slots that no longer are
  std::uint64_t unproven_bytes_ = 0;
  std::vector<Slot*> leftovers_;  // may name slots that no longer are
  Counters counters_;
};

}  // namespace switchyard::experts::detail
