#include "formats/tokenizer/unicode.h"

#include <gtest/gtest.h>
#include <string>
#include <string_view>

namespace switchyard::tokenizer {
namespace {

using namespace std::string_view_literals;

TEST(Unicode, NormalForms) {
  const std::string composed = "\u00E9";
  const std::string decomposed = "e\u0301";
  EXPECT_EQ(normal_form(decomposed, NormalForm::nfc), composed);
  EXPECT_EQ(normal_form(composed, NormalForm::nfd), decomposed);
  EXPECT_EQ(normal_form("\uFB01\u00BD\uFF21", NormalForm::nfkc), "fi1\u20442A");
  EXPECT_EQ(normal_form("\u1E69", NormalForm::nfkd), "s\u0323\u0307");
  // Marks in canonical order; a Hangul syllable from its parts; what composition excludes stays
  // apart.
  EXPECT_EQ(normal_form("s\u0307\u0323", NormalForm::nfc), "\u1E69");
  EXPECT_EQ(normal_form("\u1112\u1161\u11AB", NormalForm::nfc), "\uD55C");
  EXPECT_EQ(normal_form("\u0958", NormalForm::nfc), "\u0915\u093C");
  EXPECT_EQ(normal_form("\u212B", NormalForm::nfc), "\u00C5");
}

TEST(Unicode, NormalFormsKeepWhatIsInForm) {
  const std::string zero("a\0b", 3);
  for (const auto form : {NormalForm::nfc, NormalForm::nfd, NormalForm::nfkc, NormalForm::nfkd}) {
    EXPECT_EQ(normal_form("", form), "");
    EXPECT_EQ(normal_form(zero, form), zero);
    EXPECT_EQ(normal_form(zero + "中\uFFFF", form), zero + "中\uFFFF");
  }
}

TEST(Unicode, LowerCaseIsCharacterByCharacter) {
  EXPECT_EQ(lower_case("ÀB\u0130ΣẞǅZ中1"), "àbi\u0307σßǆz中1");
}

TEST(Unicode, StripAccentsDropsNonspacingMarks) {
  EXPECT_EQ(strip_accents("e\u0301a\u0323\u0307"), "ea");
  EXPECT_EQ(strip_accents("\u00E9\u0903"), "\u00E9\u0903");  // composed, and a spacing mark
}

TEST(Unicode, Classes) {
  const auto expect = [](char32_t c, CharClass kind) {
    EXPECT_EQ(char_class(c), kind) << std::hex << static_cast<std::uint32_t>(c);
  };
  for (const char32_t c : U"azAZ\u00E9\u00AA\u01C5\u02B0\u4E2D\u0E01\U00020000"sv) {
    expect(c, CharClass::letter);
  }
  for (const char32_t c : U"09\u0663\u00B2\u00BD\u2167\u3007"sv) {
    expect(c, CharClass::number);
  }
  for (const char32_t c : U" \t\n\v\f\r\u0085\u00A0\u1680\u2003\u2028\u2029\u202F\u205F\u3000"sv) {
    expect(c, CharClass::space);
  }
  // Marks, controls, the Mongolian vowel separator and the zero width space are none of these.
  for (const char32_t c : U"_-$\x01\x1C\x7F\u0301\u180E\u200B\u2060\uFEFF\U0001F600"sv) {
    expect(c, CharClass::other);
  }
}

TEST(Unicode, PunctuationAndWords) {
  for (const char32_t c : U"!\"$+<=>^`|~_\u00BF\u3002\u2014"sv) {
    EXPECT_TRUE(is_punctuation(c)) << std::hex << static_cast<std::uint32_t>(c);
  }
  for (const char32_t c : U"a1 \u20AC\u00D7"sv) {
    EXPECT_FALSE(is_punctuation(c)) << std::hex << static_cast<std::uint32_t>(c);
  }
  for (const char32_t c : U"a_1\u0301\u0663\u203F\u24B6\u2167\u200D"sv) {
    EXPECT_TRUE(is_word(c)) << std::hex << static_cast<std::uint32_t>(c);
  }
  for (const char32_t c : U" -\u00B2\u00BD\u2014\U0001F600"sv) {
    EXPECT_FALSE(is_word(c)) << std::hex << static_cast<std::uint32_t>(c);
  }
}

}  // namespace
}  // namespace switchyard::tokenizer
