// The scale of one group of values, or scale and minimum, with the least weighted squared error.
//
// For given codes q the best scale is a division (least squares); for a given scale the best codes
// are the nearest ones. The search tries scales around the one that puts the extreme value on the
// end of the range, takes for each the nearest codes and for those the best scale, keeps the best,
// and repeats the two steps from there while the error falls.
//
// "gain" is by how much the codes lower the sum of w x^2; it is compared instead of the error.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>

#include "formats/quant/values.h"

namespace switchyard::quant {

// Codes are the whole numbers from low to high.
struct WholeCodes {
  float low, high;
  F4 nearest(F4 v) const { return round_even(clamp(v, low, high)); }
};

// Scales below this count as 0, since their inverse might be infinite. In a block with magnitudes
// up to 1 they come from groups that are zero beside the others; the largest f16 scale of a block
// whose values are near the end of fp32 is still above.
inline constexpr float kNoScale = 1e-36F;
inline constexpr int kRefinements = 4;

// x ~ scale * q
struct ScaleFit {
  float scale = 0;
  float gain = 0;
  float qq = 0;  // sum of w q^2
  float xq = 0;  // sum of w x q
};

template <int N, typename Codes>
ScaleFit fit_scale(const float* x, const float* w, float inverse, const Codes& codes) {
  F4 xq = splat(0);
  F4 qq = splat(0);
  for (int i = 0; i < N; i += 4) {
    const F4 value = load(x + i);
    const F4 q = codes.nearest(value * splat(inverse));
    const F4 wq = load(w + i) * q;
    xq += wq * value;
    qq += wq * q;
  }
  ScaleFit fit{.qq = sum(qq), .xq = sum(xq)};
  if (fit.qq > 0) {
    fit.scale = fit.xq / fit.qq;
    fit.gain = fit.scale * fit.xq;
  }
  return fit;
}

inline float inverse_of(float scale) { return std::fabs(scale) < kNoScale ? 0 : 1 / scale; }

template <int N>
float extreme(const float* x) {
  return *std::max_element(x, x + N, [](float a, float b) { return std::fabs(a) < std::fabs(b); });
}

// `targets`: what the extreme value of x may be mapped to.
template <int N, typename Codes>
ScaleFit search_scale(const float* x, const float* w, const Codes& codes,
                      std::span<const float> targets) {
  ScaleFit best;
  const float inverse = inverse_of(extreme<N>(x));
  if (inverse == 0) return best;
  for (const float target : targets) {
    const ScaleFit fit = fit_scale<N>(x, w, target * inverse, codes);
    if (fit.gain > best.gain) best = fit;
  }
  for (int i = 0; i < kRefinements; ++i) {
    const ScaleFit fit = fit_scale<N>(x, w, inverse_of(best.scale), codes);
    if (!(fit.gain > best.gain)) break;
    best = fit;
  }
  return best;
}

// The error with exactly this scale.
template <int N, typename Codes>
float error_of(const float* x, const float* w, float scale, const Codes& codes) {
  const float inverse = inverse_of(scale);
  F4 error = splat(0);
  for (int i = 0; i < N; i += 4) {
    const F4 value = load(x + i);
    const F4 difference = value - splat(scale) * codes.nearest(value * splat(inverse));
    error += load(w + i) * difference * difference;
  }
  return sum(error);
}

// The best of `scale` and the f16 values next to it: near the end of f16's range they are far
// apart.
template <int N, typename Codes>
Scale best_stored_scale(const Values<N>& v, Scale scale, const Codes& codes) {
  Scale best = scale;
  float least = error_of<N>(v.x, v.w, scale.value, codes);
  for (const Scale candidate : v.unit.neighbours(scale)) {
    const float error = error_of<N>(v.x, v.w, candidate.value, codes);
    if (error < least) {
      least = error;
      best = candidate;
    }
  }
  return best;
}

// x ~ scale * q - minimum
struct AffineFit {
  float scale = 0;
  float minimum = 0;
  float gain = 0;
  float qq = 0, q = 0, xq = 0;  // sums of w q^2, w q and w x q
};

// What does not depend on the codes.
struct AffineSums {
  float w = 0;
  float x = 0;                       // sum of w x
  float low = 0, high = 0;           // of the values
  bool minimum_is_positive = false;  // minimum >= 0, as the K types store it
};

template <int N>
AffineSums affine_sums(const float* x, const float* w, bool minimum_is_positive) {
  F4 sum_w = splat(0);
  F4 sum_x = splat(0);
  for (int i = 0; i < N; i += 4) {
    sum_w += load(w + i);
    sum_x += load(w + i) * load(x + i);
  }
  const auto [low, high] = std::minmax_element(x, x + N);
  return {.w = sum(sum_w),
          .x = sum(sum_x),
          .low = minimum_is_positive ? std::min(*low, 0.0F) : *low,
          .high = minimum_is_positive ? std::max(*high, 0.0F) : *high,
          .minimum_is_positive = minimum_is_positive};
}

// Solves for scale and minimum where qq, q and xq are known.
inline void solve(const AffineSums& sums, AffineFit& fit) {
  const double determinant =
      static_cast<double>(sums.w) * fit.qq - static_cast<double>(fit.q) * fit.q;
  if (determinant > 1e-6 * sums.w * fit.qq) {
    fit.scale = static_cast<float>(
        (static_cast<double>(sums.w) * fit.xq - static_cast<double>(sums.x) * fit.q) / determinant);
    fit.minimum = static_cast<float>(
        (static_cast<double>(fit.q) * fit.xq - static_cast<double>(fit.qq) * sums.x) / determinant);
    if (fit.minimum >= 0 || !sums.minimum_is_positive) {
      fit.gain = fit.scale * fit.xq - fit.minimum * sums.x;
      return;
    }
  }
  fit.minimum = 0;
  fit.scale = fit.qq > 0 ? fit.xq / fit.qq : 0;
  fit.gain = fit.scale * fit.xq;
}

// The codes nearest to x * inverse + offset.
template <int N>
AffineFit fit_affine(const float* x, const float* w, const AffineSums& sums, float inverse,
                     float offset, const WholeCodes& codes) {
  F4 qq = splat(0);
  F4 q1 = splat(0);
  F4 xq = splat(0);
  for (int i = 0; i < N; i += 4) {
    const F4 value = load(x + i);
    const F4 q = codes.nearest(value * splat(inverse) + splat(offset));
    const F4 wq = load(w + i) * q;
    qq += wq * q;
    q1 += wq;
    xq += wq * value;
  }
  AffineFit fit{.qq = sum(qq), .q = sum(q1), .xq = sum(xq)};
  solve(sums, fit);
  return fit;
}

// How far the range of codes reaches beyond, or stays short of, the range of the values.
struct AffineGrid {
  std::span<const float> spans;   // codes between the least and the largest value
  std::span<const float> shifts;  // code of the least value
};

template <int N>
AffineFit search_affine(const float* x, const float* w, const AffineSums& sums,
                        const WholeCodes& codes, const AffineGrid& grid) {
  AffineFit best{.minimum = -sums.low};
  const float inverse = inverse_of(sums.high - sums.low);
  if (inverse == 0) return best;
  best.gain = -1;
  for (const float span : grid.spans) {
    for (const float shift : grid.shifts) {
      const AffineFit fit =
          fit_affine<N>(x, w, sums, span * inverse, shift - sums.low * span * inverse, codes);
      if (fit.gain > best.gain && fit.scale > 0) best = fit;
    }
  }
  for (int i = 0; i < kRefinements && best.scale > 0; ++i) {
    const float inverse_scale = inverse_of(best.scale);
    const AffineFit fit =
        fit_affine<N>(x, w, sums, inverse_scale, best.minimum * inverse_scale, codes);
    if (!(fit.gain > best.gain && fit.scale > 0)) break;
    best = fit;
  }
  return best;
}

// The codes with exactly this scale and minimum.
template <int N>
void affine_codes(const float* x, float scale, float minimum, const WholeCodes& codes, float* q) {
  const float inverse = inverse_of(scale);
  for (int i = 0; i < N; i += 4) {
    store(q + i, codes.nearest((load(x + i) + splat(minimum)) * splat(inverse)));
  }
}

template <int N>
float affine_error(const float* x, const float* w, float scale, float minimum,
                   const WholeCodes& codes) {
  const float inverse = inverse_of(scale);
  F4 error = splat(0);
  for (int i = 0; i < N; i += 4) {
    const F4 shifted = load(x + i) + splat(minimum);
    const F4 difference = shifted - splat(scale) * codes.nearest(shifted * splat(inverse));
    error += load(w + i) * difference * difference;
  }
  return sum(error);
}

}  // namespace switchyard::quant
