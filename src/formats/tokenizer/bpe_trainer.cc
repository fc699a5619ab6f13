// Training of a byte-level BPE, in the usual form: count the distinct words once, then repeatedly
// merge the most frequent pair of neighbours and update only the words that hold it.
#include <algorithm>
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "switchyard/error.h"
#include "switchyard/tokenizer.h"

#include "formats/json.h"
#include "formats/tokenizer/added_tokens.h"
#include "formats/tokenizer/byte_alphabet.h"
#include "formats/tokenizer/byte_level_file.h"
#include "formats/tokenizer/split_pattern.h"
#include "formats/tokenizer/vocabulary.h"
#include "formats/utf8.h"

namespace switchyard {
namespace tokenizer {
namespace {

using nlohmann::json;

struct Word {
  std::vector<TokenId> ids;
  std::int64_t count;
};

using Pair = std::pair<TokenId, TokenId>;

struct PairHash {
  std::size_t operator()(const Pair& pair) const {
    const auto key = static_cast<std::uint64_t>(static_cast<std::uint32_t>(pair.first)) << 32 |
                     static_cast<std::uint32_t>(pair.second);
    return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15U) >> 16);
  }
};

void check_options(const BpeTrainerOptions& options) {
  const std::size_t least = 256 + options.special_tokens.size();
  if (options.vocab < least || options.vocab > static_cast<std::size_t>(kMaxTokenId)) {
    throw Error({.what = "a vocabulary of " + std::to_string(options.vocab) + " entries",
                 .where = "tokenizer training: vocab",
                 .expected = "from " + std::to_string(least) +
                             " (256 bytes and the special tokens) to " +
                             std::to_string(kMaxTokenId)});
  }
  std::set<std::string> seen;
  for (const std::string& token : options.special_tokens) {
    const bool usable = !token.empty() && find_invalid_utf8(token) == std::string::npos &&
                        utf8_length(token.front()) != token.size();
    if (!usable || !seen.insert(token).second) {
      throw Error({.what = "the special token " + shown(token) + " cannot be used",
                   .where = "tokenizer training: special_tokens",
                   .expected = "different texts of more than one character in UTF-8"});
    }
  }
}

AddedTokenMatcher matcher_of(const std::vector<std::string>& special_tokens) {
  std::vector<AddedToken> tokens;
  tokens.reserve(special_tokens.size());
  for (const std::string& content : special_tokens) {
    tokens.push_back(
        {.id = static_cast<TokenId>(tokens.size()), .content = content, .special = true});
  }
  return {std::move(tokens), special_tokens};
}

class Trainer {
 public:
  explicit Trainer(const BpeTrainerOptions& options) : options_(options) {
    for (const std::string& token : options_.special_tokens) add_token(token);
    // In the order of their characters, as Hugging Face's trainer has them.
    std::vector<std::pair<char32_t, unsigned>> alphabet;
    for (unsigned byte = 0; byte < 256; ++byte) alphabet.push_back({kByteAlphabet[byte], byte});
    std::sort(alphabet.begin(), alphabet.end());
    for (const auto& [character, byte] : alphabet) {
      std::string text;
      append_utf8(text, character);
      byte_ids_[byte] = add_token(text);
    }
  }

  void count(std::span<const std::string> documents) {
    const AddedTokenMatcher specials = matcher_of(options_.special_tokens);
    std::unordered_map<std::string_view, std::int64_t> counts;
    for (std::size_t i = 0; i < documents.size(); ++i) {
      const std::string_view text = documents[i];
      const std::size_t invalid = find_invalid_utf8(text);
      if (invalid != std::string_view::npos) {
        throw Error({.what = "the text is not UTF-8 at byte " + std::to_string(invalid),
                     .where = "document " + std::to_string(i + 1) + " of " +
                              std::to_string(documents.size()),
                     .expected = "well-formed UTF-8",
                     .fix = "convert the text, for example with iconv"});
      }
      specials.split(text, true, [&](TokenId id, std::size_t begin, std::size_t end) {
        if (id < 0) count_words(text.substr(begin, end - begin), counts);
      });
    }
    words_.reserve(counts.size());
    for (const auto& [text, number] : counts) {
      if (text.size() < 2) continue;
      Word word{{}, number};
      word.ids.reserve(text.size());
      for (const char c : text) word.ids.push_back(byte_ids_[static_cast<unsigned char>(c)]);
      words_.push_back(std::move(word));
    }
  }

  void merge_pairs() {
    count_pairs();
    const std::size_t total = options_.vocab - texts_.size();
    const std::size_t report_every = std::max<std::size_t>(1, total / 100);
    std::size_t merged = 0;
    while (merged < total) {
      const auto pair = most_frequent();
      if (!pair) break;
      const bool is_new = merge(*pair);
      merged += is_new ? 1 : 0;
      if (is_new && options_.progress && merged % report_every == 0 && merged < total) {
        options_.progress(merged, total);
      }
    }
    if (options_.progress) options_.progress(merged, total);
  }

  json result() const {
    std::vector<std::string> merges;
    merges.reserve(merges_.size());
    for (const Pair& pair : merges_) merges.push_back(text(pair.first) + " " + text(pair.second));
    std::vector<TokenId> special(options_.special_tokens.size());
    std::iota(special.begin(), special.end(), 0);
    return byte_level_bpe_file(texts_, merges, special);
  }

 private:
  struct PairState {
    std::int64_t count = 0;
    std::vector<std::uint32_t> words;  // that hold the pair or once did; ascending but for repeats
    bool merged = false;
  };
  struct Candidate {
    std::int64_t count;
    Pair pair;
    // The queue's top is the largest.
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  const std::string& text(TokenId id) const { return texts_[static_cast<std::size_t>(id)]; }

  TokenId add_token(const std::string& token) {
    const auto id = static_cast<TokenId>(texts_.size());
    texts_.push_back(token);
    ids_.emplace(token, id);
    return id;
  }

  static void count_words(std::string_view text,
                          std::unordered_map<std::string_view, std::int64_t>& counts) {
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = next_piece_end(SplitPattern::gpt2, text, begin);
      ++counts[text.substr(begin, end - begin)];
      begin = end;
    }
  }

  void count_pairs() {
    for (std::uint32_t w = 0; w < words_.size(); ++w) {
      const Word& word = words_[w];
      for (std::size_t i = 0; i + 1 < word.ids.size(); ++i) {
        add_count({word.ids[i], word.ids[i + 1]}, word.count, w);
      }
    }
    for (const auto& [pair, state] : pairs_) queue_.push({state.count, pair});
  }

  void add_count(const Pair& pair, std::int64_t count, std::uint32_t word) {
    PairState& state = pairs_[pair];
    state.count += count;
    if (state.words.empty() || state.words.back() != word) state.words.push_back(word);
  }

  // The pair to merge next. An entry of the queue may be out of date: counts only fall without a
  // new entry, so an entry that is too high goes back with its true count.
  std::optional<Pair> most_frequent() {
    const auto least = static_cast<std::int64_t>(std::max<std::size_t>(1, options_.min_frequency));
    while (!queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      const std::int64_t now = pairs_[top.pair].count;
      if (now < least) continue;
      if (now == top.count) return top.pair;
      queue_.push({now, top.pair});
    }
    return std::nullopt;
  }

  // Returns whether a token was added: the text may be a token already, made of other parts.
  bool merge(const Pair& pair) {
    const std::string merged = text(pair.first) + text(pair.second);
    const auto known = ids_.find(merged);
    const auto specials = static_cast<TokenId>(options_.special_tokens.size());
    PairState state = std::exchange(pairs_[pair], {});
    // No text may turn into a special token.
    if (known != ids_.end() && known->second < specials) return false;
    const bool is_new = known == ids_.end();
    const TokenId id = is_new ? add_token(merged) : known->second;
    if (!state.merged) merges_.push_back(pair);
    pairs_[pair].merged = true;

    std::vector<Pair> grown;
    for (const std::uint32_t word : state.words) merge_in_word(word, pair, id, grown);
    std::sort(grown.begin(), grown.end());
    grown.erase(std::unique(grown.begin(), grown.end()), grown.end());
    for (const Pair& next : grown) queue_.push({pairs_[next].count, next});
    return is_new;
  }

  void merge_in_word(std::uint32_t index, const Pair& pair, TokenId id, std::vector<Pair>& grown) {
    Word& word = words_[index];
    std::vector<TokenId>& ids = word.ids;
    const auto gain = [&](const Pair& p) {
      add_count(p, word.count, index);
      grown.push_back(p);
    };
    const auto lose = [&](const Pair& p) {
      if (p != pair) pairs_[p].count -= word.count;
    };
    std::size_t kept = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (i + 1 == ids.size() || ids[i] != pair.first || ids[i + 1] != pair.second) {
        ids[kept++] = ids[i];
        continue;
      }
      if (kept > 0) {
        lose({ids[kept - 1], pair.first});
        gain({ids[kept - 1], id});
      }
      if (i + 2 < ids.size()) {
        lose({pair.second, ids[i + 2]});
        gain({id, ids[i + 2]});
      }
      ids[kept++] = id;
      ++i;
    }
    ids.resize(kept);
  }

  const BpeTrainerOptions& options_;
  std::vector<std::string> texts_;  // by id
  std::unordered_map<std::string, TokenId> ids_;
  std::array<TokenId, 256> byte_ids_{};
  std::vector<Word> words_;
  std::unordered_map<Pair, PairState, PairHash> pairs_;
  std::priority_queue<Candidate> queue_;
  std::vector<Pair> merges_;
};

}  // namespace
}  // namespace tokenizer

Tokenizer train_byte_level_bpe(std::span<const std::string> documents,
                               const BpeTrainerOptions& options) {
  tokenizer::check_options(options);
  tokenizer::Trainer trainer(options);
  trainer.count(documents);
  trainer.merge_pairs();
  return Tokenizer::from_json(trainer.result(), "trained tokenizer");
}

}  // namespace switchyard
