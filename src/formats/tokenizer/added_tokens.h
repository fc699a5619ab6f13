// The "added_tokens" of a tokenizer.json: texts that become one token before the model sees
// anything.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/tokenizer/vocabulary.h"

namespace switchyard::tokenizer {

struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool special = false;
  bool normalized =
      false;  // looked for after the normaliser (its content normalised too) instead of before
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
};

// Finds tokens of one set in a text, leftmost and then longest first. Thread rule: const after
// construction.
class AddedTokenMatcher {
 public:
  // `contents[i]` is what to look for in place of tokens[i]; empty ones are never found. Of two
  // equal contents the first counts.
  AddedTokenMatcher(std::vector<AddedToken> tokens, const std::vector<std::string>& contents);

  // Called from left to right with text between tokens (id -1; never empty unless the whole text
  // is) and with tokens.
  using Found = std::function<void(TokenId id, std::size_t begin, std::size_t end)>;
  void split(std::string_view text, bool special_tokens, const Found& found) const;

 private:
  struct Node {
    std::vector<std::pair<unsigned char, std::uint32_t>> children;  // sorted by byte
    std::int32_t token = -1;
  };
  struct Match {
    std::int32_t token = -1;
    std::size_t end = 0;
  };

  void insert(std::string_view content, std::int32_t token);
  Match longest_at(std::string_view text, std::size_t begin) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_;
  std::array<bool, 256> starts_{};  // bytes some token starts with
};

}  // namespace switchyard::tokenizer
