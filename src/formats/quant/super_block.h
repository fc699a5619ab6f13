// Super-blocks: 256 values in sub-blocks whose whole-number scales (and minima) share an f16 scale.
// symmetric_super.h and affine_super.h search them in the same steps.
//
// Each sub-block is first fitted alone. Then the shared scale is chosen from a few such that the
// rounded scales of the sub-blocks cost least, by the quadratic that each fit knows; then every
// sub-block takes the best whole number in the neighbourhood by its true error; then the shared
// scale is solved for by least squares with the codes it led to, and the step before is repeated
// while the error falls.
#pragma once

#include <array>
#include <cmath>
#include <limits>
#include <span>

#include "formats/quant/scale_search.h"
#include "kernels/blocks.h"

namespace switchyard::quant {

inline constexpr int kRounds = 3;
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

template <int Sub>
inline constexpr std::size_t kSubBlocks = kernels::kSuperBlock / Sub;

using SuperValues = Values<kernels::kSuperBlock>;

// What a whole-number scale may be.
struct IntRange {
  int low, high;

  int nearest(float v) const {
    const float held = std::clamp(v, static_cast<float>(low), static_cast<float>(high));
    return static_cast<int>(round_even(held));
  }
  bool has(int v) const { return v >= low && v <= high; }
};

// How far d times the nearest whole number is from `wanted`.
inline float rounding_error(float d, float inverse, IntRange range, float wanted) {
  return d * static_cast<float>(range.nearest(wanted * inverse)) - wanted;
}

// Shared scales to try.
struct SharedScales {
  std::array<Scale, 24> scales;
  std::size_t n = 0;

  const Scale* begin() const { return scales.data(); }
  const Scale* end() const { return scales.data() + n; }
};

// Those that put `largest` on each of the targets. Where they are so small that f16 has few digits
// left, also larger ones, with which the whole numbers are smaller.
inline SharedScales shared_scales(const BlockExponent& unit, float largest,
                                  std::span<const float> targets) {
  constexpr unsigned kLeastNormal = 0x0400;
  SharedScales s;
  const auto magnitude = [&] { return s.scales[s.n - 1].bits & 0x7fffU; };
  const auto add = [&](float target) {
    s.scales.at(s.n++) = unit.nearest(largest / target);
    // What would vanish gets the least that there is.
    if (magnitude() == 0 && largest != 0) s.scales[s.n - 1] = unit.of_bits(1);
  };
  for (const float target : targets) add(target);
  for (float target = targets.front() / 2; std::fabs(target) >= 1; target /= 2) {
    if (magnitude() >= kLeastNormal) break;
    add(target);
  }
  return s;
}

}  // namespace switchyard::quant
