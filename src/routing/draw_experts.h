// K distinct experts drawn uniformly: what the hash and random kinds share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>

#include "base/random.h"

namespace switchyard::routing {

// The first chosen.size() entries of a random permutation (Fisher-Yates), so a smaller K draws a
// prefix of a larger K's experts. order [E] is working memory.
inline void draw_experts(Random random, std::span<std::int32_t> order,
                         std::span<std::int32_t> chosen) {
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t j = 0; j < chosen.size(); ++j) {
    const std::size_t pick = j + static_cast<std::size_t>(random.below(order.size() - j));
    std::swap(order[j], order[pick]);
    chosen[j] = order[j];
  }
}

}  // namespace switchyard::routing
