// Random numbers that are a pure function of a key and a counter: the same bits on every machine,
// in every thread count and after every resume.
//
// The n-th value of a stream is mix(key + n * golden), the SplitMix64 generator (Steele, Lea and
// Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): period 2^64, any position
// in constant time. Streams are keyed by (seed, step, pass, layer); the key is the four numbers
// hashed with the same mixing function, so neighbouring steps have unrelated streams. Good for
// sampling, dropout and noise; not for secrets.
#pragma once

#include <cmath>
#include <cstdint>

namespace switchyard {

// The finaliser of SplitMix64: a bijection whose every output bit depends on every input bit.
constexpr std::uint64_t mix_bits(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// What a stream of random numbers is for. Two different keys give unrelated streams.
struct RandomKey {
  std::uint64_t seed = 0;
  std::uint64_t step = 0;  // training step, or token position
  std::uint64_t pass = 0;  // which of several stochastic passes, or which purpose
  std::uint64_t layer = 0;

  constexpr std::uint64_t hash() const {
    std::uint64_t h = mix_bits(seed + kGolden);
    h = mix_bits(h + step + kGolden);
    h = mix_bits(h + pass + kGolden);
    return mix_bits(h + layer + kGolden);
  }

  static constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15u;  // 2^64 / golden ratio
};

// A position in one stream. Copying it copies the position. Satisfies UniformRandomBitGenerator,
// but the distributions of the standard library differ between implementations: use the functions
// here where bits must be the same everywhere. Thread rule: one thread at a time; give each its own
// key.
class Random {
 public:
  using result_type = std::uint64_t;

  explicit constexpr Random(RandomKey key) : key_(key.hash()) {}
  explicit constexpr Random(std::uint64_t seed) : Random(RandomKey{.seed = seed}) {}

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }

  constexpr result_type operator()() { return mix_bits(key_ + ++counter_ * RandomKey::kGolden); }

  // How many values were drawn. Setting it goes to that place in the stream, as a resumed run does.
  constexpr std::uint64_t position() const { return counter_; }
  constexpr void set_position(std::uint64_t position) { counter_ = position; }

  // Uniform in [0, 1), a multiple of 2^-53. One draw.
  constexpr double uniform() { return static_cast<double>((*this)() >> 11) * 0x1p-53; }

  // Uniform in [0, 1), a multiple of 2^-24. One draw.
  constexpr float uniform_float() { return static_cast<float>((*this)() >> 40) * 0x1p-24f; }

  // Uniform in [0, n), n >= 1, without bias: draws that would favour the low numbers are repeated.
  constexpr std::uint64_t below(std::uint64_t n) {
    const std::uint64_t unfair = (0 - n) % n;  // 2^64 mod n
    std::uint64_t draw = (*this)();
    while (draw < unfair) draw = (*this)();
    return draw % n;
  }

  // Standard normal (Box and Muller, 1958). Two draws. The bits are those of the C library's log
  // and cos.
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(6.283185307179586 * uniform());
  }

 private:
  std::uint64_t key_;
  std::uint64_t counter_ = 0;
};

}  // namespace switchyard
