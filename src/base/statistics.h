// Figures of a handful of measurements.
#pragma once

#include <vector>

namespace switchyard {

// 0 for no values.
double mean(const std::vector<double>& values);
// The middle value, or the mean of the middle two; 0 for none.
double median(std::vector<double> values);
// With n - 1 in the denominator; 0 for fewer than two values.
double standard_deviation(const std::vector<double>& values);

}  // namespace switchyard
