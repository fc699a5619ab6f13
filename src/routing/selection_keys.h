// The row of numbers that top-k selection compares: which of an item's experts come first and which
// are out.
#pragma once

#include <limits>
#include <span>

#include "switchyard/routing.h"

namespace switchyard::routing {

// The key of an expert that must not be chosen. Real keys are finite.
inline constexpr float kExcluded = -std::numeric_limits<float>::infinity();

// Whether keys differ from logits at all; if not, selection reads the logits where they are.
bool needs_keys(const Config& config);

// keys[e] of one item, kExcluded for experts outside the item's groups. logits, bias (or empty) and
// keys are [R].
void selection_keys(const Config& config, std::span<const float> logits,
                    std::span<const float> bias, std::span<float> keys);

}  // namespace switchyard::routing
