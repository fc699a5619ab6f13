// Super-blocks with value = d * scale * code - dmin * minimum.
#pragma once

#include "formats/quant/super_block.h"

namespace switchyard::quant {

// The two scales that all sub-blocks share.
struct SharedPair {
  Scale d, dmin;
};

template <int Sub>
struct AffineSuper {
  SharedPair shared;
  std::array<int, kSubBlocks<Sub>> scales{};
  std::array<int, kSubBlocks<Sub>> minima{};
  float error = kInfinity;

  float scale(std::size_t j) const { return shared.d.value * static_cast<float>(scales[j]); }
  float minimum(std::size_t j) const { return shared.dmin.value * static_cast<float>(minima[j]); }
};

// How a type searches.
struct AffineSearch {
  WholeCodes codes;
  AffineGrid grid;
  IntRange range;                        // of scales and minima
  std::span<const float> scale_targets;  // what the largest scale or minimum may be mapped to
};

// A sub-block fitted alone.
struct SubFit {
  AffineSums sums;
  AffineFit fit;

  // The best minimum moves with the scale.
  float minimum_at(float scale) const { return fit.minimum + (scale - fit.scale) * fit.q / sums.w; }
};

template <int Sub>
using AffineFits = std::array<SubFit, kSubBlocks<Sub>>;

// First d as if the minima could follow freely, then dmin for the minima that then are best.
template <int Sub>
SharedPair choose_shared_pair(const SuperValues& v, const AffineFits<Sub>& fits,
                              const AffineSearch& search) {
  float largest = 0;
  float largest_minimum = 0;
  for (const SubFit& f : fits) {
    largest = std::max(largest, f.fit.scale);
    largest_minimum = std::max(largest_minimum, f.fit.minimum);
  }
  SharedPair best;
  float least = kInfinity;
  for (const Scale d : shared_scales(v.unit, largest, search.scale_targets)) {
    const float inverse = inverse_of(d.value);
    float error = 0;
    for (const auto& [sums, fit] : fits) {
      const float off = rounding_error(d.value, inverse, search.range, fit.scale);
      error += (fit.qq - fit.q * fit.q / sums.w) * off * off;
    }
    if (error < least) {
      least = error;
      best.d = d;
    }
  }
  const float inverse_d = inverse_of(best.d.value);
  least = kInfinity;
  for (const Scale dmin : shared_scales(v.unit, largest_minimum, search.scale_targets)) {
    const float inverse = inverse_of(dmin.value);
    float error = 0;
    for (const SubFit& f : fits) {
      const auto scale = static_cast<float>(search.range.nearest(f.fit.scale * inverse_d));
      const float off =
          rounding_error(dmin.value, inverse, search.range, f.minimum_at(best.d.value * scale));
      error += f.sums.w * off * off;
    }
    if (error < least) {
      least = error;
      best.dmin = dmin;
    }
  }
  return best;
}

// The best pair of whole numbers around each sub-block's scale and minimum for these d and dmin.
template <int Sub>
AffineSuper<Sub> choose_scales(const SuperValues& v, const AffineFits<Sub>& fits,
                               const AffineSearch& search, SharedPair shared) {
  AffineSuper<Sub> super{.shared = shared, .error = 0};
  const IntRange range = search.range;
  const float inverse = inverse_of(shared.d.value);
  const float inverse_min = inverse_of(shared.dmin.value);
  for (std::size_t j = 0; j < kSubBlocks<Sub>; ++j) {
    const int middle = range.nearest(fits[j].fit.scale * inverse);
    float least = kInfinity;
    for (const int scale : {middle, middle - 1, middle + 1}) {
      if (!range.has(scale)) continue;
      const float s = shared.d.value * static_cast<float>(scale);
      const int near = range.nearest(fits[j].minimum_at(s) * inverse_min);
      for (const int minimum : {near, near - 1, near + 1}) {
        if (!range.has(minimum)) continue;
        const float m = shared.dmin.value * static_cast<float>(minimum);
        const float error = affine_error<Sub>(v.x + j * Sub, v.w + j * Sub, s, m, search.codes);
        if (error < least) {
          least = error;
          super.scales[j] = scale;
          super.minima[j] = minimum;
        }
      }
    }
    super.error += least;
  }
  return super;
}

// d and dmin with the least error for the codes, scales and minima that `super` leads to.
template <int Sub>
SharedPair solve_shared_pair(const SuperValues& v, const AffineFits<Sub>& fits,
                             const WholeCodes& codes, const AffineSuper<Sub>& super) {
  double ss = 0, sm = 0, mm = 0, xs = 0, xm = 0;  // of the normal equations
  for (std::size_t j = 0; j < kSubBlocks<Sub>; ++j) {
    const AffineSums& sums = fits[j].sums;
    const float inverse = inverse_of(super.scale(j));
    const AffineFit fit = fit_affine<Sub>(v.x + j * Sub, v.w + j * Sub, sums, inverse,
                                          super.minimum(j) * inverse, codes);
    const double scale = super.scales[j];
    const double minimum = super.minima[j];
    ss += scale * scale * fit.qq;
    sm += scale * minimum * fit.q;
    mm += minimum * minimum * sums.w;
    xs += scale * fit.xq;
    xm += minimum * sums.x;
  }
  SharedPair shared = super.shared;
  const double determinant = ss * mm - sm * sm;
  if (determinant > 1e-9 * ss * mm) {
    shared.d = v.unit.nearest(static_cast<float>((mm * xs - sm * xm) / determinant));
    shared.dmin = v.unit.nearest(static_cast<float>((sm * xs - ss * xm) / determinant));
  } else if (ss > 0) {
    shared.d = v.unit.nearest(static_cast<float>((xs + shared.dmin.value * sm) / ss));
  }
  return shared.d.value < 0 || shared.dmin.value < 0 ? super.shared : shared;
}

template <int Sub>
AffineSuper<Sub> search_super(const SuperValues& v, const AffineSearch& search) {
  AffineFits<Sub> fits;
  for (std::size_t j = 0; j < kSubBlocks<Sub>; ++j) {
    const float* const x = v.x + j * Sub;
    const float* const w = v.w + j * Sub;
    fits[j].sums = affine_sums<Sub>(x, w, true);
    fits[j].fit = search_affine<Sub>(x, w, fits[j].sums, search.codes, search.grid);
  }
  auto best = choose_scales<Sub>(v, fits, search, choose_shared_pair<Sub>(v, fits, search));
  for (int round = 0; round < kRounds; ++round) {
    const SharedPair shared = solve_shared_pair<Sub>(v, fits, search.codes, best);
    if (shared.d.bits == best.shared.d.bits && shared.dmin.bits == best.shared.dmin.bits) break;
    const auto next = choose_scales<Sub>(v, fits, search, shared);
    if (!(next.error < best.error)) break;
    best = next;
  }
  return best;
}

}  // namespace switchyard::quant
