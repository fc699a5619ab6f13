// Picking the K best of a row. The one place where ties are decided: equal keys go to the lower
// index, and -0 equals +0.
#pragma once

#include <cstdint>
#include <span>

namespace switchyard::routing {

// Writes the indices of the out.size() largest keys, best first. REQUIRES: out.size() <=
// keys.size(); no NaN. Needs no memory besides `out`; about one pass over the keys when out is
// short.
void select_top_k(std::span<const float> keys, std::span<std::int32_t> out);

}  // namespace switchyard::routing
