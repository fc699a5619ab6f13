// The learning rate as a function of the step.
#pragma once

#include <cstdint>

#include "train/recipe.h"

namespace switchyard::train {

// lr of optimizer step `step` (0-based) of `total`: rises linearly over the warm-up (step 0 already
// moves), then stays, or falls to min_lr_share * lr along a line or half a cosine, reached at the
// last step.
double learning_rate(const ScheduleRecipe& schedule, double lr, std::int64_t step,
                     std::int64_t total);

}  // namespace switchyard::train
