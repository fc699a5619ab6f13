// The most 8-bit products the Words of one instruction set do from registers. See machine_limits.h.
#pragma once

#include <cstddef>

#include "kernels/sets.h"

namespace switchyard::kernels {
namespace {

constexpr std::size_t kIntegerChains = 12;

std::int32_t dot_burst(std::size_t rounds, std::int32_t seed) {
  Words chains[kIntegerChains];
  const Words codes = splat(static_cast<std::uint32_t>(seed) & 0x0f0f0f0fU);
  const Words x = splat(static_cast<std::uint32_t>(seed));
  unrolled<kIntegerChains>([&](auto c) { chains[c.value] = splat(c.value); });
  for (std::size_t round = 0; round < rounds; ++round) {
    unrolled<kIntegerChains>(
        [&](auto c) { chains[c.value] = byte_products(chains[c.value], codes, x); });
    // Or the compiler sees that every round does the same.
    asm volatile("" ::: "memory");
  }
  // Every chain counts once: one that cancels itself out is one that the compiler leaves out.
  Words total = splat(0);
  unrolled<kIntegerChains>([&](auto c) { total = differing(total, chains[c.value]); });
  std::int32_t words[kOut];
  __builtin_memcpy(words, &total, sizeof(total));
  return words[0];
}

constexpr IntegerProbe kIntegerProbe = {.dot_burst = dot_burst,
                                        .operations_per_round = 2 * 4 * kOut * kIntegerChains};

}  // namespace
}  // namespace switchyard::kernels
