#include "formats/tokenizer/made_up.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "switchyard/error.h"

#include "formats/tokenizer/byte_alphabet.h"
#include "formats/tokenizer/byte_level_file.h"
#include "formats/utf8.h"

namespace switchyard {
namespace {

using tokenizer::TokenId;

constexpr std::string_view kLetters = "etaoinshrdlcumwfgypbvkjxqz";  // the frequent ones first
constexpr std::size_t kBytes = 256;
constexpr std::size_t kSpecials = 3;

class Words {
 public:
  explicit Words(std::size_t limit) : limit_(limit) {
    for (std::size_t byte = 0; byte < kBytes; ++byte) {
      texts_.emplace_back();
      append_utf8(texts_.back(), tokenizer::kByteAlphabet[byte]);
    }
  }

  void make() {
    // A word begins with a space, or goes on.
    std::vector<std::string> starts = {texts_[' ']};
    std::vector<std::string> letters;
    for (const char c : kLetters) letters.emplace_back(1, c);
    starts.insert(starts.end(), letters.begin(), letters.end());
    const auto pairs = joined(starts, letters);
    joined(pairs, letters);
    joined(pairs,
           {pairs.begin() + static_cast<std::ptrdiff_t>(std::min(pairs.size(), kLetters.size())),
            pairs.end()});
  }

  std::vector<std::string>& texts() { return texts_; }
  const std::vector<std::string>& merges() const { return merges_; }

 private:
  // Each of the first with each of the second, as new tokens while there is room.
  std::vector<std::string> joined(const std::vector<std::string>& first,
                                  const std::vector<std::string>& second) {
    std::vector<std::string> made;
    for (const std::string& a : first) {
      for (const std::string& b : second) {
        if (texts_.size() >= limit_) return made;
        made.push_back(a + b);
        texts_.push_back(made.back());
        merges_.push_back(a + " " + b);
      }
    }
    return made;
  }

  std::size_t limit_;
  std::vector<std::string> texts_;  // by id
  std::vector<std::string> merges_;
};

}  // namespace

MadeUpTokenizer made_up_tokenizer(std::size_t vocab) {
  if (vocab < kBytes + kSpecials || vocab > static_cast<std::size_t>(tokenizer::kMaxTokenId)) {
    throw Error({.what = "a vocabulary of " + std::to_string(vocab) + " tokens",
                 .where = "made-up tokenizer",
                 .expected = "from " + std::to_string(kBytes + kSpecials) +
                             " (256 bytes and the special tokens) to " +
                             std::to_string(tokenizer::kMaxTokenId),
                 .fix = "choose another size"});
  }
  Words words(vocab - kSpecials);
  words.make();
  std::vector<std::string>& texts = words.texts();
  std::array<TokenId, kSpecials> ids{};
  constexpr std::array kTexts = {MadeUpTokenizer::kEndOfText, MadeUpTokenizer::kTurnBegin,
                                 MadeUpTokenizer::kTurnEnd};
  for (std::size_t i = 0; i < kSpecials; ++i) {
    ids[i] = static_cast<TokenId>(texts.size());
    texts.emplace_back(kTexts[i]);
  }
  return {.tokenizer = Tokenizer::from_json(
              tokenizer::byte_level_bpe_file(texts, words.merges(), ids), "made-up tokenizer"),
          .end_of_text = ids[0],
          .turn_begin = ids[1],
          .turn_end = ids[2]};
}

}  // namespace switchyard
