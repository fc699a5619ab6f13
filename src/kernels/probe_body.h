// Loops that do nothing but use up one resource of the machine, over the Lanes of one instruction
// set. See machine_limits.h.
#pragma once

#include <cstddef>

#include "kernels/sets.h"

namespace switchyard::kernels {
namespace {

constexpr std::size_t kChains = 12;  // more than latency times FMAs per cycle on every x86 so far

float read_all(const float* data, std::size_t n) {
  constexpr std::size_t kStreams = 4;
  Lanes sums[kStreams];
  for (std::size_t s = 0; s < kStreams; ++s) sums[s] = zero();
  constexpr std::size_t kAheadFloats =
      2048;  // fetched on request, as the kernels do: without it this is no limit
  for (std::size_t i = 0; i + kStreams * kLanes <= n; i += kStreams * kLanes) {
    const std::size_t next = i + kAheadFloats < n ? i + kAheadFloats : i;
    for (std::size_t s = 0; s < kStreams; ++s) __builtin_prefetch(data + next + s * kLanes, 0, 2);
    for (std::size_t s = 0; s < kStreams; ++s) sums[s] = add(sums[s], load(data + i + s * kLanes));
  }
  return sum(add(add(sums[0], sums[1]), add(sums[2], sums[3])));
}

float fma_burst(std::size_t rounds, float seed) {
  Lanes chains[kChains];
  for (std::size_t c = 0; c < kChains; ++c) chains[c] = broadcast(seed + static_cast<float>(c));
  const Lanes factor = broadcast(0.5F);
  const Lanes term = broadcast(seed);
  for (std::size_t round = 0; round < rounds; ++round) {
    for (std::size_t c = 0; c < kChains; ++c) chains[c] = fma(chains[c], factor, term);
  }
  float total = 0;
  for (std::size_t c = 0; c < kChains; ++c) total += sum(chains[c]);
  return total;
}

constexpr LimitProbes kProbes = {
    .read_all = read_all, .fma_burst = fma_burst, .flops_per_round = 2 * kChains * kLanes};

}  // namespace
}  // namespace switchyard::kernels
