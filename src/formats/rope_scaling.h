// The numbers that scaled RoPE puts on scores, and what a RopeScaling may be.
#pragma once

#include "switchyard/model_config.h"

namespace switchyard {

// What cosines and sines are multiplied by.
float rope_magnitude(const RopeScaling& scaling);

// Throws Error naming the field. Needs the base of the angles.
void validate_rope_scaling(const RopeScaling& scaling, float theta);

}  // namespace switchyard
