// Where a number was measured, as it stands beside the number. base/utc_time.h says when.
#pragma once

#include <string>

namespace switchyard::train {

// "AMD EPYC, 2 cores, 23.4 GiB; cpu, 2 threads"
std::string machine_description(const std::string& device, int threads);

}  // namespace switchyard::train
