// Pair of token ids -> its merge: rank (smaller merges first) and resulting id. Open addressing
// over one flat array: the innermost lookup of encoding.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

#include "formats/tokenizer/vocabulary.h"

namespace switchyard::tokenizer {

inline constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();

struct Merge {
  std::uint32_t rank = kNoRank;
  TokenId result = -1;
};

class MergeTable {
 public:
  explicit MergeTable(std::size_t merges)
      : slots_(std::bit_ceil(merges * 2 + 16)), mask_(slots_.size() - 1) {}

  // A pair that is set twice keeps the later merge.
  void set(TokenId left, TokenId right, Merge merge) {
    const std::uint64_t key = key_of(left, right);
    for (std::size_t i = home(key);; i = (i + 1) & mask_) {
      if (slots_[i].merge.rank != kNoRank && slots_[i].key != key) continue;
      slots_[i] = {key, merge};
      return;
    }
  }

  // rank is kNoRank where the pair has no merge.
  Merge find(TokenId left, TokenId right) const {
    const std::uint64_t key = key_of(left, right);
    for (std::size_t i = home(key);; i = (i + 1) & mask_) {
      if (slots_[i].key == key || slots_[i].merge.rank == kNoRank) {
        return slots_[i].key == key ? slots_[i].merge : Merge{};
      }
    }
  }

  template <typename F>  // f(left, right, merge)
  void for_each(F f) const {
    for (const Slot& slot : slots_) {
      if (slot.merge.rank == kNoRank) continue;
      f(static_cast<TokenId>(slot.key >> 32), static_cast<TokenId>(slot.key & 0xFFFFFFFF),
        slot.merge);
    }
  }

 private:
  struct Slot {
    std::uint64_t key = 0;
    Merge merge;
  };

  static std::uint64_t key_of(TokenId left, TokenId right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
           static_cast<std::uint32_t>(right);
  }
  std::size_t home(std::uint64_t key) const {
    key *= 0x9E3779B97F4A7C15U;  // Fibonacci hashing
    return (key ^ key >> 32) & mask_;
  }

  std::vector<Slot> slots_;
  std::size_t mask_;
};

}  // namespace switchyard::tokenizer
