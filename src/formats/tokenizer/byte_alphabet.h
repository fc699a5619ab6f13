// The GPT-2 byte alphabet: each of the 256 bytes written as one printable character, so that a
// vocabulary file can hold any bytes. Printable Latin-1 bytes stand for themselves, the other 68
// are U+0100 and up in byte order.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace switchyard::tokenizer {

namespace internal {

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr std::array<char32_t, 256> make_byte_alphabet() {
  std::array<char32_t, 256> alphabet{};
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    alphabet[byte] = stands_for_itself(byte) ? static_cast<char32_t>(byte) : next++;
  }
  return alphabet;
}

}  // namespace internal

inline constexpr std::array<char32_t, 256> kByteAlphabet = internal::make_byte_alphabet();

// The byte a character of the alphabet stands for.
std::optional<std::uint8_t> byte_of_char(char32_t c);

std::string bytes_to_alphabet(std::string_view bytes);

// nullopt if some character is outside the alphabet. REQUIRES: well-formed UTF-8.
std::optional<std::string> alphabet_to_bytes(std::string_view text);

}  // namespace switchyard::tokenizer
