#include "train/statistics.h"

#include <array>
#include <cmath>
#include <limits>

namespace switchyard::train {
namespace {

// 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom; beyond, the normal distribution's
// is close.
constexpr std::array<double, 30> kT975 = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306,
                                          2.262,  2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
                                          2.110,  2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
                                          2.060,  2.056, 2.052, 2.048, 2.045, 2.042};

}  // namespace

Interval confidence_interval(const std::vector<double>& values) {
  const double center = mean(values);
  if (values.size() < 2) {
    return {center, -std::numeric_limits<double>::infinity(),
            std::numeric_limits<double>::infinity()};
  }
  const std::size_t freedom = values.size() - 1;
  const double t = freedom <= kT975.size() ? kT975[freedom - 1] : 1.96;
  const double half =
      t * standard_deviation(values) / std::sqrt(static_cast<double>(values.size()));
  return {center, center - half, center + half};
}

}  // namespace switchyard::train
