// How the extents of a slab lie in its slot.
//
// A direct read needs offset, length and address at multiples of the file's alignment, so an extent
// is read with its aligned cover and the part is found inside it: nothing is copied. Extents of one
// file whose covers touch are read as one run (the three matrices of an expert often lie side by
// side in a safetensors file).
#pragma once

#include <cstdint>
#include <vector>

#include "switchyard/experts.h"

namespace switchyard::experts {

// Address modulo this is what the file offset is: a cache line, and the widest vector.
inline constexpr std::uint64_t kPartAlignment = 64;

// One read: `bytes` from `offset` of a file to `slot_offset` of the slot. At the end of a file the
// aligned length may reach past it: only the first `needed` bytes must come.
struct ReadRun {
  std::uint32_t file = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t needed = 0;
  std::uint64_t slot_offset = 0;
};

// Where an extent is found in the slot.
struct Placement {
  std::uint64_t slot_offset = 0;
  std::uint64_t bytes = 0;
};

struct SlotLayout {
  std::vector<ReadRun> runs;
  std::vector<Placement> parts;  // in the order of the slab's extents
  std::uint64_t bytes = 0;       // of the slot, whole pages
};

SlotLayout slot_layout(const Store& store, const Slab& slab);

std::uint64_t page_bytes();

}  // namespace switchyard::experts
