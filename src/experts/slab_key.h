// A SlabId as one number, for hash maps.
#pragma once

#include <cstdint>

#include "switchyard/experts.h"

namespace switchyard::experts {

inline std::uint64_t slab_key(SlabId id) {
  return (static_cast<std::uint64_t>(id.layer) << 32) | id.expert;
}

}  // namespace switchyard::experts
