// Unicode knowledge of the tokenizers: character classes as Hugging Face's regular expressions see
// them, normal forms, lower case. Backed by utf8proc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace switchyard::tokenizer {

// The four classes the well-known split patterns tell apart.
enum class CharClass : std::uint8_t {
  letter,  // \p{L}
  number,  // \p{N}
  space,   // \s: the White_Space property
  other,
};

CharClass char_class(char32_t c);
bool is_white_space(char32_t c);
bool is_number(char32_t c);       // general category N
bool is_punctuation(char32_t c);  // general category P, and every ASCII punctuation or symbol
bool is_word(char32_t c);         // \w: letters, marks, digits, connectors, joiners

enum class NormalForm { nfc, nfd, nfkc, nfkd };

// REQUIRES: well-formed UTF-8.
std::string normal_form(std::string_view text, NormalForm form);
std::string lower_case(std::string_view text);
std::string strip_accents(std::string_view text);  // drops non-spacing marks (category Mn)

}  // namespace switchyard::tokenizer
