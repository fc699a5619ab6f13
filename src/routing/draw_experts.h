// K distinct experts drawn uniformly: what the hash and random kinds share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>

#include "routing/random_stream.h"

namespace switchyard::routing {

// The first chosen.size() entries of a random permutation (Fisher-Yates), so a smaller K draws a
// prefix of a larger K's experts. order [E] is working memory. Uses draws 0 to K - 1 of the stream.
inline void draw_experts(const RandomStream& stream, std::span<std::int32_t> order,
                         std::span<std::int32_t> chosen) {
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t j = 0; j < chosen.size(); ++j) {
    const std::size_t pick = j + static_cast<std::size_t>(stream.below(order.size() - j, j));
    std::swap(order[j], order[pick]);
    chosen[j] = order[j];
  }
}

}  // namespace switchyard::routing
