// Which pieces of a token stream a training step sees. A pure function of (seed, number of the
// window): nothing has to be replayed to go on from a checkpoint, the position is one number.
//
// An epoch cuts the stream into windows of T tokens plus the one to predict, at an offset drawn for
// the epoch so that windows differ between epochs, and visits each once in an order drawn for the
// epoch.
#pragma once

#include <cstddef>
#include <cstdint>

namespace switchyard::train {

class WindowSampler {
 public:
  // Throws Error if the stream is too short for one window: 2 * sequence + 1 tokens are needed.
  WindowSampler(std::size_t tokens, int sequence, std::uint64_t seed);

  std::uint64_t windows_per_epoch() const { return windows_; }
  // First token of the n-th window of the run; tokens [begin, begin + sequence] are read.
  std::size_t begin(std::uint64_t n) const;

 private:
  std::uint64_t permuted(std::uint64_t epoch, std::uint64_t index) const;

  std::uint64_t sequence_;
  std::uint64_t seed_;
  std::uint64_t windows_;
  int half_bits_;  // the permutation works on 2 * half_bits_ bits and skips what lies above
                   // windows_
};

}  // namespace switchyard::train
