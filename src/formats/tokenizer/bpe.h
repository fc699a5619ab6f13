// The BPE model: a piece of text becomes symbols (one for each byte or character), then the pair of
// neighbours with the lowest rank merges, leftmost first among equals, until no neighbours have a
// merge (Sennrich et al. 2016).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tokenizer/merge_table.h"
#include "formats/tokenizer/vocabulary.h"
#include "formats/tokenizer/word_cache.h"

namespace switchyard::tokenizer {

struct BpeOptions {
  bool bytes = false;  // pieces are bytes, tokens are written in the GPT-2 byte alphabet
  bool byte_fallback =
      false;  // a character that has no token becomes its bytes' tokens "<0x00>" to "<0xFF>"
  bool fuse_unk = false;       // neighbouring unknown characters are one unknown token
  bool ignore_merges = false;  // a piece that is a token as a whole is that token
  std::optional<TokenId> unknown = {};
};

// What one call of encode() works in; reused from call to call.
struct BpeScratch {
  struct Symbol {
    TokenId id;
    std::uint32_t previous;
    std::uint32_t next;
    Merge merge;  // of this symbol and the next
  };
  std::vector<TokenId> ids;
  std::vector<Merge> merges;
  std::vector<Symbol> symbols;
  std::vector<std::uint64_t> queue;
  WordCache cache;
};

// Thread rule: const after construction; concurrent calls are fine with a scratch each.
class Bpe {
 public:
  // `vocabulary` is copied from at construction and must outlive the model.
  Bpe(const Vocabulary& vocabulary, MergeTable merges, const BpeOptions& options);

  // Appends the ids of `piece`. Throws Error for a character that has no token and nothing to stand
  // in for it. REQUIRES: well-formed UTF-8, unless the model works on bytes.
  void encode(std::string_view piece, BpeScratch& scratch, std::vector<TokenId>& out) const;

  // Whether no merge joins a U+2581 to another character before it: then a text may be cut there.
  bool splits_at_metaspace() const { return splits_at_metaspace_; }

  const MergeTable& merges() const { return merges_; }
  const BpeOptions& options() const { return options_; }

 private:
  void symbols_of(std::string_view piece, std::vector<TokenId>& ids) const;
  void symbols_of_unknown(std::string_view character, bool& after_unknown,
                          std::vector<TokenId>& ids) const;
  std::optional<TokenId> whole(std::string_view piece) const;

  const Vocabulary& vocabulary_;
  MergeTable merges_;
  BpeOptions options_;
  std::array<TokenId, 256> byte_tokens_{};      // of the alphabet's characters, -1: none
  std::array<TokenId, 256> fallback_tokens_{};  // "<0x00>".."<0xFF>", -1: none
  std::array<TokenId, 128> ascii_tokens_{};     // of single ASCII characters, -1: none
  bool splits_at_metaspace_ = false;
};

// Merges scratch.ids in place; the heart of encode(), apart for tests. `merge_symbols` chooses by
// length: scanning for the lowest rank is fastest for words, a queue keeps long pieces at O(n log
// n).
void merge_symbols(const MergeTable& merges, BpeScratch& scratch);
void merge_by_scanning(const MergeTable& merges, BpeScratch& scratch);
void merge_by_queue(const MergeTable& merges, BpeScratch& scratch);

}  // namespace switchyard::tokenizer
