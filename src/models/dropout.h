// Dropout (Srivastava 2014) whose mask is a pure function of the pass's random key and the place in
// the model.
#pragma once

#include <cstdint>

#include <torch/types.h>

#include "models/forward_context.h"

namespace switchyard::models {

// x with a share context.dropout of its elements set to zero and the rest scaled up by 1 / (1 -
// share), while training; x itself otherwise. `place` tells the calls of one pass apart.
torch::Tensor dropout(const torch::Tensor& x, const ForwardContext& context, std::uint64_t place);

}  // namespace switchyard::models
