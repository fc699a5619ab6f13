// What a ModelConfig may be, all but its number of weights.
#pragma once

#include "switchyard/model_config.h"

namespace switchyard {

// Throws Error naming the field: sizes, how they fit together, and what the family's own fields
// cannot say.
void check_model_config(const ModelConfig& config);

}  // namespace switchyard
