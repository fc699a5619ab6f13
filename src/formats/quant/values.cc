#include "formats/quant/values.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/check.h"
#include "formats/dtype.h"

namespace switchyard::quant {
namespace {

constexpr float kLargestF16 = 65504.0F;
constexpr std::uint16_t kLargestF16Bits = 0x7bff;
constexpr double kUnvisitedWeight = 1.0 / 1024;  // of a column with importance 0, mean 1

void weights_of(const float* importance, int n, float* weights) {
  double total = 0;
  if (importance != nullptr) {
    for (int i = 0; i < n; ++i) {
      SWITCHYARD_CHECK(std::isfinite(importance[i]) && importance[i] >= 0);
      total += importance[i];
    }
  }
  if (total == 0) {
    std::fill_n(weights, n, 1.0F);
    return;
  }
  const double mean = total / n;
  for (int i = 0; i < n; ++i) {
    weights[i] =
        static_cast<float>((importance[i] / mean + kUnvisitedWeight) / (1 + kUnvisitedWeight));
  }
}

}  // namespace

Scale BlockExponent::nearest(float value) const {
  const double real = std::ldexp(static_cast<double>(value), exponent);
  const float held = std::clamp(static_cast<float>(real), -kLargestF16, kLargestF16);
  return of_bits(f32_to_f16(held));
}

Scale BlockExponent::of_bits(std::uint16_t bits) const {
  return {bits, static_cast<float>(std::ldexp(static_cast<double>(f16_to_f32(bits)), -exponent))};
}

std::array<Scale, 2> BlockExponent::neighbours(Scale scale) const {
  const std::uint16_t sign = scale.bits & 0x8000U;
  const std::uint16_t magnitude = scale.bits & 0x7fffU;
  const std::uint16_t below = magnitude > 0 ? magnitude - 1 : 0;
  const std::uint16_t above = std::min<std::uint16_t>(magnitude + 1, kLargestF16Bits);
  return {of_bits(sign | below), of_bits(sign | above)};
}

void prepare(const float* x, const float* importance, int n, float* out, float* weights,
             BlockExponent& unit) {
  // Bits of magnitudes are ordered as the magnitudes are, with infinity and NaN above all others.
  std::int32_t largest = 0;
  for (int i = 0; i < n; ++i) {
    largest = std::max(largest,
                       static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(x[i]) & 0x7fffffffU));
  }
  SWITCHYARD_CHECK(largest < 0x7f800000);
  std::frexp(std::bit_cast<float>(largest), &unit.exponent);
  const double factor = std::ldexp(1.0, -unit.exponent);
  for (int i = 0; i < n; ++i) out[i] = static_cast<float>(x[i] * factor);
  weights_of(importance, n, weights);
}

}  // namespace switchyard::quant
