#include "formats/utf8.h"

#include <gtest/gtest.h>
#include <random>

#include "formats/tokenizer/test_files.h"

namespace switchyard::tokenizer {
namespace {

std::string lossy(std::string_view bytes) {
  LossyUtf8 decoder;
  std::string out;
  decoder.push(bytes, out);
  decoder.finish(out);
  return out;
}

TEST(Utf8, FindsTheFirstByteThatIsNotWellFormed) {
  struct Case {
    std::string text;
    std::size_t invalid;
  };
  constexpr std::size_t kNone = std::string_view::npos;
  const std::vector<Case> cases = {
      {"", kNone},
      {"plain text longer than eight bytes", kNone},
      {std::string("a\0b", 3), kNone},
      {"h\xC3\xA9", kNone},
      {"\xF4\x8F\xBF\xBF", kNone},  // U+10FFFF
      {"\xEF\xBF\xBF", kNone},      // U+FFFF, a noncharacter but a character value
      {"ab\x80", 2},                // a continuation without a lead
      {"12345678\xFF", 8},
      {"\xC0\xAF", 0},  // overlong '/'
      {"\xC1\xBF", 0},
      {"\xE0\x9F\xBF", 0},      // overlong
      {"a\xED\xA0\x80", 1},     // a surrogate
      {"\xF0\x8F\xBF\xBF", 0},  // overlong
      {"\xF4\x90\x80\x80", 0},  // above U+10FFFF
      {"\xF5\x80\x80\x80", 0},
      {"ab\xE2\x82", 2},  // cut short
      {"\xE2\x82z", 0},
      {"\xC3", 0},
  };
  for (const Case& c : cases) EXPECT_EQ(find_invalid_utf8(c.text), c.invalid) << c.text;
}

TEST(Utf8, EveryCharacterIsReadAsItWasWritten) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    ASSERT_EQ(find_invalid_utf8(text), std::string_view::npos)
        << std::hex << static_cast<std::uint32_t>(c);
    std::size_t position = 0;
    ASSERT_EQ(next_char(text, position), c);
    ASSERT_EQ(position, text.size());
    ASSERT_EQ(previous_char_start("x" + text, text.size() + 1), 1U);
  }
}

TEST(LossyUtf8, EachMaximalBrokenPartBecomesOneReplacement) {
  // The examples of the Unicode standard, section 3.9.
  EXPECT_EQ(lossy("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\x41");
  EXPECT_EQ(lossy("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\x41");
  EXPECT_EQ(lossy("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"),
            "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\x41\uFFFD\uFFFD\x42");
  EXPECT_EQ(lossy("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), "\uFFFD\uFFFD\uFFFD\uFFFD\x41");
  EXPECT_EQ(lossy("ab\xF0\x9F\x98"), "ab\uFFFD");
}

TEST(LossyUtf8, PiecesGiveWhatTheWholeGives) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = random_text(random, 8);
    // Break some of it.
    for (int i = 0; i < 3; ++i) bytes[random() % bytes.size()] = static_cast<char>(random());
    LossyUtf8 decoder;
    std::string out;
    for (std::size_t i = 0; i < bytes.size();) {
      const std::size_t size = std::min<std::size_t>(1 + random() % 4, bytes.size() - i);
      decoder.push(std::string_view(bytes).substr(i, size), out);
      ASSERT_EQ(find_invalid_utf8(out), std::string_view::npos);
      i += size;
    }
    decoder.finish(out);
    ASSERT_EQ(out, lossy(bytes));
  }
}

TEST(ByteAlphabet, IsTheTableOfGpt2) {
  EXPECT_EQ(bytes_to_alphabet(" "), "Ġ");
  EXPECT_EQ(bytes_to_alphabet("\n"), "Ċ");
  EXPECT_EQ(bytes_to_alphabet("a!~"), "a!~");
  EXPECT_EQ(bytes_to_alphabet("é"), "Ã©");
  EXPECT_EQ(bytes_to_alphabet(std::string_view("\0", 1)), "Ā");
  EXPECT_EQ(bytes_to_alphabet("\xAD"), "Ń");  // the soft hyphen is the last of the 68
}

TEST(ByteAlphabet, AllBytesComeBack) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  EXPECT_EQ(alphabet_to_bytes(bytes_to_alphabet(bytes)), bytes);
  EXPECT_EQ(alphabet_to_bytes("a b"), std::nullopt);  // a space is not in the alphabet
  EXPECT_EQ(alphabet_to_bytes("中"), std::nullopt);
}

}  // namespace
}  // namespace switchyard::tokenizer
