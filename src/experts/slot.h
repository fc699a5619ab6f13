// The two records the parts of the cache share: a slab's slot, and a read of it on its way. All
// fields are guarded by the cache's mutex, except the bytes of a loading slot, which belong to the
// reader, and those of a pinned one, which nobody writes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "switchyard/error.h"
#include "switchyard/experts.h"

#include "experts/slot_layout.h"
#include "experts/slot_memory.h"

namespace switchyard::experts::detail {

class CacheCore;

// Shared by everyone who waits for the slab.
struct Load {
  Slot* slot = nullptr;
  SlotLayout layout;
  bool demanded = false;  // someone waits; what was begun ahead becomes so when it is asked for
  unsigned waiters = 0;   // who get a pin each when it is done
  unsigned uses = 0;      // times it was asked for, also by those who gave up since

  // The next piece to read.
  std::size_t run = 0;
  std::uint64_t done_of_run = 0;
  int reads_in_flight = 0;

  bool done = false;
  std::optional<Error::Parts> failure;  // set as soon as one piece fails; nothing more is started

  bool all_started() const { return failure.has_value() || run == layout.runs.size(); }
};

// Whether a ready slab was read ahead and not asked for yet.
enum class Ahead {
  no,
  unproven,  // its layer is still to come: demand takes other slabs first
  leftover,  // its layer has passed: the first to go
};

// Absent: neither ready nor with a load.
struct Slot {
  SlabId id;
  CacheCore* core = nullptr;
  std::uint64_t footprint = 0;  // bytes of a slot for this slab
  unsigned pins = 0;
  bool ready = false;
  bool hinted = false;  // in the queue of prefetch hints
  Ahead ahead = Ahead::no;
  std::uint64_t begun_at = 0;    // acquires the cache had seen when it began to load
  SlotBuffer buffer;             // while loading or ready
  std::vector<Placement> parts;  // likewise
  std::shared_ptr<Load> load;    // while loading
};

}  // namespace switchyard::experts::detail
