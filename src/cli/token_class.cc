#include "cli/token_class.h"

#include "formats/tokenizer/unicode.h"
#include "formats/utf8.h"

namespace switchyard::cli {

TokenClass TokenClassifier::next(std::string_view text, bool special) {
  const bool in_word = in_word_;
  if (special) {
    in_word_ = false;
    return TokenClass::line_end;
  }
  if (text.empty()) return TokenClass::word_inside;
  in_word_ = false;
  bool line_end = false;
  bool space_before = false;
  char32_t first = 0;  // that is no white space
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_char(text, at);
    line_end = line_end || c == '\n' || c == '\r';
    const bool space = tokenizer::is_white_space(c);
    if (first == 0) {
      space_before = space_before || space;
      if (!space) first = c;
    }
    in_word_ = !space && !tokenizer::is_number(c) && !tokenizer::is_punctuation(c);
  }
  if (line_end) return TokenClass::line_end;
  if (first == 0) return TokenClass::white_space;
  if (tokenizer::is_number(first)) return TokenClass::number;
  if (tokenizer::is_punctuation(first)) return TokenClass::punctuation;
  return in_word && !space_before ? TokenClass::word_inside : TokenClass::word_start;
}

}  // namespace switchyard::cli
