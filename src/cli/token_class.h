// What kind of text a token is, for statistics of routing by kind. Byte-level tokens, sub-words and
// whole words fall into the same classes.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace switchyard::cli {

enum class TokenClass {
  word_start,   // the first letters of a word, with or without the space before it
  word_inside,  // the rest of a word, and bytes of an unfinished character
  number,
  punctuation,  // and symbols
  white_space,
  line_end,  // with a line end in it; the end of a text
};
inline constexpr std::size_t kTokenClasses = 6;

struct TokenClassName {
  std::string_view title;  // for people
  std::string_view key;    // in JSON and CSV
};
inline constexpr std::array<TokenClassName, kTokenClasses> kTokenClassNames = {{
    {"word start", "word_start"},
    {"word inside", "word_inside"},
    {"number", "number"},
    {"punctuation", "punctuation"},
    {"white space", "white_space"},
    {"line end", "line_end"},
}};

// Classifies the tokens of a text in order.
class TokenClassifier {
 public:
  // `text`: what the token adds to the decoded text, well-formed UTF-8; empty if its character is
  // not finished yet. `special`: it is no text at all (end of text).
  TokenClass next(std::string_view text, bool special);

 private:
  bool in_word_ = false;  // the text so far ends in a letter
};

}  // namespace switchyard::cli
