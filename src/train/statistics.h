// Means and intervals over seeds.
#pragma once

#include <vector>

namespace switchyard::train {

struct Interval {
  double mean = 0;
  double low = 0;  // of the two-sided 95 % interval (Student's t)
  double high = 0;
};

double mean(const std::vector<double>& values);
// The middle value, or the mean of the middle two; 0 for none.
double median(std::vector<double> values);
// With n - 1 in the denominator; 0 for fewer than two values.
double standard_deviation(const std::vector<double>& values);
// For one value the interval is the whole line.
Interval confidence_interval(const std::vector<double>& values);

}  // namespace switchyard::train
