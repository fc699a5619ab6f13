#include "routing/capacity.h"

#include <algorithm>
#include <cmath>

namespace switchyard::routing {

std::uint32_t expert_capacity(const Config& config, std::size_t items, int k) {
  if (config.capacity_factor == 0.0F) return 0;
  // A factor such as 1.1 is not a binary fraction: without the margin, 1.1 * 10 would round up
  // to 12.
  constexpr double kMargin = 1e-6;
  const double exact = static_cast<double>(config.capacity_factor) * static_cast<double>(items) *
                       static_cast<double>(k) / static_cast<double>(config.experts);
  // An expert never gets more than one assignment per item, so `items` is as good as any larger
  // number.
  const double rounded = std::ceil(exact * (1.0 - kMargin));
  return static_cast<std::uint32_t>(
      std::clamp(rounded, 1.0, std::max(1.0, static_cast<double>(items))));
}

}  // namespace switchyard::routing
