// The checksum of a slab: XXH3-64, fast enough (tens of GB/s) to run on every read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace switchyard::experts {

// Over bytes handed in piece by piece.
class Checksum {
 public:
  Checksum();
  ~Checksum();
  void add(std::span<const std::byte> bytes);
  std::uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::uint64_t checksum_of(std::span<const std::byte> bytes);

}  // namespace switchyard::experts
