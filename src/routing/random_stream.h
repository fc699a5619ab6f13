// Counter-based random numbers: a draw is a function of its key and its number, so any draw can be
// made without those before it, on any thread, in any order.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace switchyard::routing {

// The finaliser of SplitMix64 (Steele 2014): a bijection whose output bits each depend on all input
// bits.
constexpr std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

class RandomStream {
 public:
  // Streams with different key parts are independent; the order of the parts matters.
  constexpr RandomStream(std::initializer_list<std::uint64_t> key) {
    for (const std::uint64_t part : key) key_ = mix(key_ + kStep + mix(part + kStep));
  }

  // Draw number `counter`, 64 uniform bits.
  constexpr std::uint64_t bits(std::uint64_t counter) const {
    return mix(key_ + (counter + 1) * kStep);
  }

  // Uniform in [0, bound), bound >= 1. The bias is below bound / 2^64.
  constexpr std::uint64_t below(std::uint64_t bound, std::uint64_t counter) const {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>((static_cast<Wide>(bits(counter)) * bound) >> 64);
  }

 private:
  static constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15ULL;  // 2^64 / golden ratio, odd
  std::uint64_t key_ = 0;
};

}  // namespace switchyard::routing
