// Intervals over seeds.
#pragma once

#include <vector>

#include "base/statistics.h"

namespace switchyard::train {

struct Interval {
  double mean = 0;
  double low = 0;  // of the two-sided 95 % interval (Student's t)
  double high = 0;
};

// For one value the interval is the whole line.
Interval confidence_interval(const std::vector<double>& values);

}  // namespace switchyard::train
