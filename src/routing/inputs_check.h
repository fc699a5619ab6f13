// What every method checks before it reads its inputs.
#pragma once

#include "switchyard/routing.h"

namespace switchyard::routing {

// K of this call.
int effective_k(const Config& config, const Inputs& inputs);

// Throws Error naming item and expert of the first NaN or infinity; InternalError for spans of the
// wrong size.
void check_logits(const Config& config, const Inputs& inputs);

}  // namespace switchyard::routing
