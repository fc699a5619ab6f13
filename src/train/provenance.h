// Where and when a number was measured, as it stands beside the number.
#pragma once

#include <chrono>
#include <string>

namespace switchyard::train {

// "2026-01-31T12:00:00Z"
std::string utc_time(std::chrono::system_clock::time_point time);

// "AMD EPYC, 2 cores, 23.4 GiB; cpu, 2 threads"
std::string machine_description(const std::string& device, int threads);

}  // namespace switchyard::train
