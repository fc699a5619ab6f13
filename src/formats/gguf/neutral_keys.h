// Keys that change the computation in a way that is not supported.
#pragma once

#include "switchyard/gguf.h"

#include "formats/gguf/architecture.h"

namespace switchyard {

// Throws Error naming the first such key, unless it has the value that does nothing.
void check_neutral_keys(const GgufMetadata& metadata, const GgufArchitecture& row);

}  // namespace switchyard
