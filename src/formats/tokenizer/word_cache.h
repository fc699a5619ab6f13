// Remembers the token ids of short words. Direct-mapped: a word has one place and pushes out what
// was there, so memory is bounded and a lookup touches one cache line. Words of natural text repeat
// so much that nearly all are found.
//
// Thread rule: one thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "formats/tokenizer/vocabulary.h"

namespace switchyard::tokenizer {

class WordCache {
 public:
  WordCache() : entries_(kEntries) {}

  // The ids of `word`; empty if it is not there (no word has no tokens).
  std::span<const TokenId> find(std::string_view word) const {
    if (word.size() > kMaxBytes) return {};
    const Entry& entry = entries_[slot(word)];
    if (entry.bytes != word.size() ||
        std::memcmp(entry.text.data(), word.data(), word.size()) != 0) {
      return {};
    }
    return {entry.ids.data(), entry.tokens};
  }

  // Words or results that are too long for an entry are not kept.
  void put(std::string_view word, std::span<const TokenId> ids) {
    if (word.empty() || word.size() > kMaxBytes || ids.size() > kMaxTokens) return;
    Entry& entry = entries_[slot(word)];
    entry.bytes = static_cast<std::uint8_t>(word.size());
    entry.tokens = static_cast<std::uint8_t>(ids.size());
    std::memcpy(entry.text.data(), word.data(), word.size());
    std::memcpy(entry.ids.data(), ids.data(), ids.size() * sizeof(TokenId));
  }

 private:
  static constexpr std::size_t kEntries = 1U << 15;
  static constexpr std::size_t kMaxBytes = 30;
  static constexpr std::size_t kMaxTokens = 8;

  struct alignas(64) Entry {
    std::uint8_t bytes = 0;
    std::uint8_t tokens = 0;
    std::array<char, kMaxBytes> text{};
    std::array<TokenId, kMaxTokens> ids{};
  };
  static_assert(sizeof(Entry) == 64);

  static std::size_t slot(std::string_view word) {
    std::uint64_t hash = word.size();
    std::size_t i = 0;
    for (; i + 8 <= word.size(); i += 8) {
      std::uint64_t chunk = 0;
      std::memcpy(&chunk, word.data() + i, 8);
      hash = (hash ^ chunk) * 0x9E3779B97F4A7C15U;
      hash ^= hash >> 29;
    }
    std::uint64_t rest = 0;
    for (std::size_t shift = 0; i < word.size(); ++i, shift += 8) {
      rest |= static_cast<std::uint64_t>(static_cast<unsigned char>(word[i])) << shift;
    }
    hash = (hash ^ rest) * 0x9E3779B97F4A7C15U;
    return (hash >> 40) & (kEntries - 1);
  }

  std::vector<Entry> entries_;
};

}  // namespace switchyard::tokenizer
