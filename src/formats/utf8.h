// UTF-8 as bytes: checking, walking, writing, and the replacement of what is broken.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace switchyard {

// Offset of the first byte that is not part of a well-formed character; npos if all are.
// Surrogates, overlong forms and values above U+10FFFF are not well formed.
std::size_t find_invalid_utf8(std::string_view text);

// Length in bytes of the character whose first byte is `lead`. REQUIRES: `lead` starts a
// well-formed character.
inline std::size_t utf8_length(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// The character at `position` in well-formed text; moves `position` past it. REQUIRES: position <
// text.size().
inline char32_t next_char(std::string_view text, std::size_t& position) {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[position + i]));
  };
  const char32_t lead = byte(0);
  const std::size_t length = utf8_length(text[position]);
  char32_t c = lead;
  if (length == 2) c = (lead & 0x1F) << 6 | (byte(1) & 0x3F);
  if (length == 3) c = (lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
  if (length == 4) {
    c = (lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
  }
  position += length;
  return c;
}

// Offset of the character that ends just before `end` in well-formed text. REQUIRES: end > 0.
inline std::size_t previous_char_start(std::string_view text, std::size_t end) {
  std::size_t start = end - 1;
  while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
  return start;
}

void append_utf8(std::string& out, char32_t c);

// Bytes that arrive in pieces, turned into well-formed text: each maximal broken part becomes one
// U+FFFD (the Unicode standard's recommendation), and an unfinished character waits for its rest.
class LossyUtf8 {
 public:
  void push(std::string_view bytes, std::string& out);
  void finish(std::string& out);  // what still waits will never be completed

 private:
  std::string waiting_;  // a proper prefix of one character, at most 3 bytes
};

}  // namespace switchyard
