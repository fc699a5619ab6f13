// When a number was measured, as it stands beside the number.
#pragma once

#include <chrono>
#include <string>

namespace switchyard {

// "2026-01-31T12:00:00Z"
std::string utc_time(std::chrono::system_clock::time_point time);

}  // namespace switchyard
