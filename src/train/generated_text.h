// Text that costs nothing: small stories from a fixed grammar, for tests and quick runs. They have
// structure at several distances (agreement, a name that comes back), so a model that learns has
// something to learn.
#pragma once

#include <cstdint>
#include <string>

namespace switchyard::train {

// Stories of a few lines, one after the other, at least `bytes` in all. A pure function of its
// arguments.
std::string generate_text(std::size_t bytes, std::uint64_t seed);

}  // namespace switchyard::train
