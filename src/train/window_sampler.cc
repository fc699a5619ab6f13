#include "train/window_sampler.h"

#include <fmt/format.h>

#include "switchyard/error.h"

#include "base/random.h"

namespace switchyard::train {
namespace {

// A well-mixed function of (seed, epoch, round of the permutation, value).
std::uint64_t mix(std::uint64_t seed, std::uint64_t epoch, std::uint64_t round,
                  std::uint64_t value) {
  return RandomKey{.seed = seed, .step = epoch, .pass = round, .layer = value}.hash();
}

constexpr int kRounds = 4;
constexpr std::uint64_t kOffsetStream = 100;  // numbers below are the rounds of the permutation

}  // namespace

WindowSampler::WindowSampler(std::size_t tokens, int sequence, std::uint64_t seed)
    : sequence_(static_cast<std::uint64_t>(sequence)), seed_(seed) {
  if (tokens < 2 * sequence_ + 1) {
    throw Error(
        {.what = fmt::format("the training text has {} tokens", tokens),
         .where = "[data] sequence",
         .expected = fmt::format("at least {} for sequences of {}", 2 * sequence_ + 1, sequence_),
         .fix = "use more text or a shorter sequence"});
  }
  // One window less than fits, so that every offset of an epoch gives the same number.
  windows_ = (tokens - 1) / sequence_ - 1;
  half_bits_ = 1;
  while ((std::uint64_t{1} << (2 * half_bits_)) < windows_) ++half_bits_;
}

std::size_t WindowSampler::begin(std::uint64_t n) const {
  const std::uint64_t epoch = n / windows_;
  const std::uint64_t offset = mix(seed_, epoch, kOffsetStream, 0) % sequence_;
  return offset + permuted(epoch, n % windows_) * sequence_;
}

// A Feistel network is a permutation of a power of four for any round function; walking on until
// the value is below windows_ makes it one of [0, windows_), after less than four tries on average.
std::uint64_t WindowSampler::permuted(std::uint64_t epoch, std::uint64_t index) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  do {
    std::uint64_t left = index >> half_bits_;
    std::uint64_t right = index & mask;
    for (int round = 0; round < kRounds; ++round) {
      const std::uint64_t next =
          left ^ (mix(seed_, epoch, static_cast<std::uint64_t>(round), right) & mask);
      left = right;
      right = next;
    }
    index = (left << half_bits_) | right;
  } while (index >= windows_);
  return index;
}

}  // namespace switchyard::train
