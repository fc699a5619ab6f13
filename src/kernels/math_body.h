// exp, and what the activations need of it, over the Lanes of one instruction set: the same
// operations in the same order everywhere, so the same bits. Accuracy is measured in kernels_test
// against double.
#pragma once

#include "kernels/kernels.h"

namespace switchyard::kernels {
namespace {

// c[0] + c[1] x + c[2] x^2 + ...
template <std::size_t Count>
inline Lanes polynomial(const Lanes& x, const float (&c)[Count]) {
  Lanes p = broadcast(c[Count - 1]);
  for (std::size_t i = Count - 1; i > 0; --i) p = fma(p, x, broadcast(c[i - 1]));
  return p;
}

// e^x with a relative error below 1.5 * 2^-24 (normal results). Overflows to infinity, goes to 0
// through the subnormal numbers; NaN gives NaN.
//
// x = n ln 2 + r with |r| <= ln(2) / 2, so e^x = 2^n e^r. ln 2 comes in two parts, the first with 9
// trailing zero bits so that n times it is exact. e^r = 1 + r + r^2 p(r), p being the minimax fit
// of degree 4: relative error of e^r 3.1e-9, a twentieth of the rounding error of a float.
inline Lanes exp(const Lanes& argument) {
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLn2High = 0.693145752F;  // 0x1.62e400p-1
  constexpr float kLn2Low = 1.42860677e-6F;
  constexpr float kShift =
      12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer, left in the low bits
  constexpr float kFit[] = {0.499999934F, 0.166665206F, 0.0416683883F, 0.00836871807F,
                            0.0013814586F};

  // The bounds give 0 and infinity; the argument stands second so that NaN stays.
  const Lanes x = minimum(broadcast(89.0F), maximum(broadcast(-104.0F), argument));
  const Lanes shifted = fma(x, broadcast(kLog2E), broadcast(kShift));
  const Lanes n = subtract(shifted, broadcast(kShift));
  const Lanes r = fma(n, broadcast(-kLn2Low), fma(n, broadcast(-kLn2High), x));
  const Lanes p = fma(multiply(r, r), polynomial(r, kFit), r);
  const Lanes result = add(p, broadcast(1.0F));

  // 2^n in two factors: n reaches from -150 to 128, one exponent field only from -126 to 127.
  const Lanes half_shifted = fma(n, broadcast(0.5F), broadcast(kShift));
  const Lanes half = subtract(half_shifted, broadcast(kShift));
  const Lanes other_shifted = add(subtract(n, half), broadcast(kShift));
  return multiply(multiply(result, power_of_two(half_shifted)), power_of_two(other_shifted));
}

// x / (1 + e^-x)
inline Lanes silu(const Lanes& x) {
  const Lanes one = broadcast(1.0F);
  return divide(x, add(one, exp(subtract(zero(), x))));
}

// x (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), which is x / (1 + e^-2u): no
// difference of near equals.
inline Lanes gelu_tanh(const Lanes& x) {
  const Lanes minus_2u =
      multiply(x, fma(multiply(x, x), broadcast(-0.0713548163F), broadcast(-1.59576912F)));
  return divide(x, add(broadcast(1.0F), exp(minus_2u)));
}

// x Phi(x), Phi being the normal distribution, (1 + erf(x / sqrt(2))) / 2.
//
// With t = |x| and the upper tail Q(t) = 1 - Phi(t) it is max(x, 0) - t Q(t) on both sides of 0, so
// the negative side has no cancellation. Q(t) = e^(-t^2 / 2) f(w), w = 1 / (1 + 0.3 t), f a minimax
// fit of degree 10 without a constant term on 0 <= t <= 14, relative error 3.5e-9. Beyond 14 t Q(t)
// is below the smallest float.
inline Lanes gelu(const Lanes& x) {
  constexpr float kFit[] = {0.119686636F,  0.119572785F,   0.11022786F,  0.0784227798F,
                            0.0960666669F, -0.0792649577F, 0.191604031F, -0.228084977F,
                            0.112383455F,  -0.0206142809F};
  const Lanes t = minimum(absolute(x), broadcast(14.5F));
  const Lanes w = divide(broadcast(1.0F), fma(t, broadcast(0.3F), broadcast(1.0F)));
  const Lanes f = multiply(w, polynomial(w, kFit));
  const Lanes tail = multiply(f, exp(multiply(multiply(t, t), broadcast(-0.5F))));
  return subtract(maximum(zero(), x), multiply(t, tail));
}

inline Lanes relu(const Lanes& x) { return maximum(zero(), x); }

}  // namespace
}  // namespace switchyard::kernels
