// Super-blocks with value = d * scale * code.
#pragma once

#include "formats/quant/super_block.h"

namespace switchyard::quant {

template <int Sub>
struct SymmetricSuper {
  Scale d;
  std::array<int, kSubBlocks<Sub>> scales{};
  float error = kInfinity;

  float scale(std::size_t j) const { return d.value * static_cast<float>(scales[j]); }
};

// How a type searches.
struct SymmetricSearch {
  std::span<const float> targets;        // what the extreme value of a sub-block may be mapped to
  IntRange range;                        // of scales
  std::span<const float> scale_targets;  // what the extreme scale may be mapped to
};

template <int Sub>
using SymmetricFits = std::array<ScaleFit, kSubBlocks<Sub>>;

template <int Sub>
Scale choose_shared_scale(const SuperValues& v, const SymmetricFits<Sub>& fits,
                          const SymmetricSearch& search) {
  float largest = 0;
  for (const ScaleFit& fit : fits) {
    if (std::fabs(fit.scale) > std::fabs(largest)) largest = fit.scale;
  }
  Scale best;
  float least = kInfinity;
  for (const Scale d : shared_scales(v.unit, largest, search.scale_targets)) {
    const float inverse = inverse_of(d.value);
    float error = 0;
    for (const ScaleFit& fit : fits) {
      const float off = rounding_error(d.value, inverse, search.range, fit.scale);
      error += fit.qq * off * off;
    }
    if (error < least) {
      least = error;
      best = d;
    }
  }
  return best;
}

// The best of the whole numbers around each sub-block's scale for this d.
template <int Sub, typename Codes>
SymmetricSuper<Sub> choose_scales(const SuperValues& v, const Codes& codes,
                                  const SymmetricFits<Sub>& fits, IntRange range, Scale d) {
  SymmetricSuper<Sub> super{.d = d, .error = 0};
  const float inverse = inverse_of(d.value);
  for (std::size_t j = 0; j < kSubBlocks<Sub>; ++j) {
    const int middle = range.nearest(fits[j].scale * inverse);
    float least = kInfinity;
    for (const int scale : {middle, middle - 1, middle + 1}) {
      if (!range.has(scale)) continue;
      const float error =
          error_of<Sub>(v.x + j * Sub, v.w + j * Sub, d.value * static_cast<float>(scale), codes);
      if (error < least) {
        least = error;
        super.scales[j] = scale;
      }
    }
    super.error += least;
  }
  return super;
}

// The d with the least error for the codes and scales that `super` leads to.
template <int Sub, typename Codes>
Scale solve_shared_scale(const SuperValues& v, const Codes& codes,
                         const SymmetricSuper<Sub>& super) {
  double xs = 0;
  double ss = 0;
  for (std::size_t j = 0; j < kSubBlocks<Sub>; ++j) {
    const ScaleFit fit =
        fit_scale<Sub>(v.x + j * Sub, v.w + j * Sub, inverse_of(super.scale(j)), codes);
    const double scale = super.scales[j];
    xs += scale * fit.xq;
    ss += scale * scale * fit.qq;
  }
  return ss == 0 ? super.d : v.unit.nearest(static_cast<float>(xs / ss));
}

template <int Sub, typename Codes>
SymmetricSuper<Sub> search_super(const SuperValues& v, const Codes& codes,
                                 const SymmetricSearch& search) {
  SymmetricFits<Sub> fits;
  for (std::size_t j = 0; j < kSubBlocks<Sub>; ++j)
    fits[j] = search_scale<Sub>(v.x + j * Sub, v.w + j * Sub, codes, search.targets);
  auto best =
      choose_scales<Sub>(v, codes, fits, search.range, choose_shared_scale<Sub>(v, fits, search));
  for (int round = 0; round < kRounds; ++round) {
    const Scale d = solve_shared_scale<Sub>(v, codes, best);
    if (d.bits == best.d.bits) break;
    const auto next = choose_scales<Sub>(v, codes, fits, search.range, d);
    if (!(next.error < best.error)) break;
    best = next;
  }
  return best;
}

}  // namespace switchyard::quant
