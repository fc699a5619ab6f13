// The oracle of the runtime: a decoder as plain loops in double precision, one token after another,
// every weight read by name. Slow and short; it shares no code with the runtime except the routing
// decision and the file reader.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "switchyard/file_system.h"

namespace switchyard::testing_support {

// Logits of every position, [T, V], of the model in `directory`.
std::vector<double> reference_logits(FileSystem& fs, const std::string& directory,
                                     std::span<const std::int32_t> tokens);

}  // namespace switchyard::testing_support
