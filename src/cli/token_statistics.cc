#include "cli/token_statistics.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace switchyard::cli {

void Moments::add(double x) {
  ++count_;
  const double before = x - mean_;
  mean_ += before / static_cast<double>(count_);
  squares_ += before * (x - mean_);
}

double Moments::variance() const {
  return count_ < 2 ? 0 : squares_ / static_cast<double>(count_ - 1);
}

Estimate Moments::estimate() const {
  return {mean_, count_ == 0 ? 0 : std::sqrt(variance() / static_cast<double>(count_))};
}

Estimate exponential(const Estimate& mean) {
  const double value = std::exp(mean.value);
  return {value, value * mean.error};
}

Estimate share(std::size_t part, std::size_t whole) {
  SWITCHYARD_CHECK(whole > 0 && part <= whole);
  const auto n = static_cast<double>(whole);
  const double p = static_cast<double>(part) / n;
  return {p, std::sqrt(p * (1 - p) / n)};
}

Estimate quantile(std::span<const float> sorted, double q) {
  SWITCHYARD_CHECK(!sorted.empty() && q >= 0 && q <= 1);
  const auto n = static_cast<double>(sorted.size());
  const auto at = [&](double rank) {  // from 1
    const double clamped = std::clamp(std::ceil(rank), 1.0, n);
    return static_cast<double>(sorted[static_cast<std::size_t>(clamped) - 1]);
  };
  const double rank = q * n;
  const double spread = std::sqrt(n * q * (1 - q));
  return {at(rank), (at(rank + spread) - at(rank - spread)) / 2};
}

}  // namespace switchyard::cli
