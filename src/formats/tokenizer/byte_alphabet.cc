#include "formats/tokenizer/byte_alphabet.h"

#include "formats/utf8.h"

namespace switchyard::tokenizer {
namespace {

constexpr std::size_t kAlphabetEnd = 0x100 + 68;

constexpr std::array<std::int16_t, kAlphabetEnd> make_reverse() {
  std::array<std::int16_t, kAlphabetEnd> reverse{};
  for (auto& entry : reverse) entry = -1;
  for (unsigned byte = 0; byte < 256; ++byte) {
    reverse[kByteAlphabet[byte]] = static_cast<std::int16_t>(byte);
  }
  return reverse;
}
constexpr auto kReverse = make_reverse();

}  // namespace

std::optional<std::uint8_t> byte_of_char(char32_t c) {
  if (c >= kAlphabetEnd || kReverse[c] < 0) return std::nullopt;
  return static_cast<std::uint8_t>(kReverse[c]);
}

std::string bytes_to_alphabet(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char byte : bytes) append_utf8(out, kByteAlphabet[static_cast<unsigned char>(byte)]);
  return out;
}

std::optional<std::string> alphabet_to_bytes(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = byte_of_char(next_char(text, i));
    if (!byte) return std::nullopt;
    out.push_back(static_cast<char>(*byte));
  }
  return out;
}

}  // namespace switchyard::tokenizer
