#include "runtime/rope.h"

#include <cmath>

namespace switchyard::runtime {

RopeTable::RopeTable(int positions, int head_dim, float theta)
    : half_(static_cast<std::size_t>(head_dim) / 2) {
  cos_.reserve(half_ * static_cast<std::size_t>(positions));
  sin_.reserve(half_ * static_cast<std::size_t>(positions));
  for (int p = 0; p < positions; ++p) {
    for (std::size_t i = 0; i < half_; ++i) {
      // The angle is rounded to fp32 as in the reference implementations: far positions depend on
      // it.
      const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
      const float frequency = 1.0F / std::pow(theta, exponent);
      const float angle = static_cast<float>(p) * frequency;
      cos_.push_back(static_cast<float>(std::cos(static_cast<double>(angle))));
      sin_.push_back(static_cast<float>(std::sin(static_cast<double>(angle))));
    }
  }
}

}  // namespace switchyard::runtime
