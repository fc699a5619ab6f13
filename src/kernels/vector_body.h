// Everything over one vector, over the Lanes of one instruction set: norms, softmax, activations
// and rotary embedding.
#pragma once

#include <cstddef>

#include "kernels/kernels.h"

namespace switchyard::kernels {
namespace {

void axpy(float a, const float* x, float* y, std::size_t n) {
  const Lanes factor = broadcast(a);
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, fma(factor, load(x + i), load(y + i)));
  if (i < n)
    store_first(y + i, fma(factor, load_first(x + i, n - i), load_first(y + i, n - i)), n - i);
}

void rms_norm(const float* x, const float* weight, float epsilon, float* y, std::size_t n) {
  const float mean = dot(x, x, n) / static_cast<float>(n);
  const Lanes scale = broadcast(1.0F / __builtin_sqrtf(mean + epsilon));
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    store(y + i, multiply(multiply(load(x + i), scale), load(weight + i)));
  if (i < n) {
    const std::size_t rest = n - i;
    store_first(y + i,
                multiply(multiply(load_first(x + i, rest), scale), load_first(weight + i, rest)),
                rest);
  }
}

void softmax(float* x, std::size_t n) {
  if (n == 0) return;
  Lanes top = broadcast(x[0]);
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) top = maximum(top, load(x + i));
  float top_of_all = largest(top);
  for (; i < n; ++i) top_of_all = top_of_all > x[i] ? top_of_all : x[i];
  const Lanes shift = broadcast(top_of_all);

  // The sum follows the rule of the dot product: element i goes to sum i % 16, and the padding adds
  // zeros.
  Lanes sums = zero();
  for (i = 0; i + kLanes <= n; i += kLanes) {
    const Lanes e = exp(subtract(load(x + i), shift));
    store(x + i, e);
    sums = add(sums, e);
  }
  if (i < n) {
    const std::size_t rest = n - i;
    store_first(x + i, exp(subtract(load_first(x + i, rest), shift)), rest);
    sums = add(sums, load_first(x + i, rest));
  }

  const Lanes total = broadcast(sum(sums));
  for (i = 0; i + kLanes <= n; i += kLanes) store(x + i, divide(load(x + i), total));
  if (i < n) store_first(x + i, divide(load_first(x + i, n - i), total), n - i);
}

// out = function(gate), times up where there is one. out may be gate or up: each element is read
// before it is written.
template <Lanes (*Function)(const Lanes&)>
void activation(const float* gate, const float* up, float* out, std::size_t n) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Lanes a = Function(load(gate + i));
    store(out + i, up == nullptr ? a : multiply(a, load(up + i)));
  }
  if (i < n) {
    const std::size_t rest = n - i;
    const Lanes a = Function(load_first(gate + i, rest));
    store_first(out + i, up == nullptr ? a : multiply(a, load_first(up + i, rest)), rest);
  }
}

void rope(float* x, const float* cosine, const float* sine, std::size_t head_dim) {
  const std::size_t half = head_dim / 2;
  float* const a = x;
  float* const b = x + half;
  std::size_t i = 0;
  for (; i + kLanes <= half; i += kLanes) {
    const Lanes c = load(cosine + i), s = load(sine + i), ai = load(a + i), bi = load(b + i);
    store(a + i, subtract(multiply(ai, c), multiply(bi, s)));
    store(b + i, add(multiply(bi, c), multiply(ai, s)));
  }
  if (i < half) {
    const std::size_t rest = half - i;
    const Lanes c = load_first(cosine + i, rest), s = load_first(sine + i, rest);
    const Lanes ai = load_first(a + i, rest), bi = load_first(b + i, rest);
    store_first(a + i, subtract(multiply(ai, c), multiply(bi, s)), rest);
    store_first(b + i, add(multiply(bi, c), multiply(ai, s)), rest);
  }
}

void widen(const Bf16* x, float* y, std::size_t n) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, load(x + i));
  if (i < n) store_first(y + i, load_first(x + i, n - i), n - i);
}

}  // namespace
}  // namespace switchyard::kernels
