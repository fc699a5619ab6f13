// Whether the weights of a model are numbers: a damaged file, or a hostile one, may hold NaN or
// infinite values, and scales of blocks that make such values. Opening a model does not look at
// them, as it would have to read every byte; `inspect --check` and `convert` do, and the runtime
// refuses the logits that come of them.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "switchyard/dtype.h"
#include "switchyard/thread_pool.h"
#include "switchyard/weight_files.h"

namespace switchyard {

// The scale that MXFP4 reserves for NaN stands in one of these blocks. Programs differ in what they
// compute from it, so it is refused before it is decoded. False for other types.
bool has_reserved_scale(DType dtype, std::span<const std::byte> blocks);

// Throws Error naming the tensor if a value of it is not finite, or a scale is reserved. Tensors of
// whole numbers pass. Reads the tensor in pieces; `pool` (null: the calling thread) decodes.
void check_finite(const WeightFiles& weights, const TensorInfo& tensor, ThreadPool* pool);

}  // namespace switchyard
