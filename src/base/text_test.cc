#include "base/text.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>

namespace switchyard {
namespace {

TEST(Text, TakesCodePoints) {
  std::string_view text = "aé€😀";
  EXPECT_EQ(take_code_point(text), U'a');
  EXPECT_EQ(take_code_point(text), U'é');
  EXPECT_EQ(take_code_point(text), U'€');
  EXPECT_EQ(take_code_point(text), U'😀');
  EXPECT_TRUE(text.empty());
}

TEST(Text, BrokenUtf8IsTakenByteByByte) {
  for (const std::string_view broken : {"\x80", "\xc0\x80", "\xe2\x82", "\xed\xa0\x80",
                                        "\xf4\x90\x80\x80", "\xff", "\xe0\x80\x80"}) {
    std::string_view text = broken;
    EXPECT_EQ(take_code_point(text), U'\ufffd');
    EXPECT_EQ(text.size(), broken.size() - 1);
  }
}

TEST(Text, DisplayWidth) {
  EXPECT_EQ(display_width(""), 0u);
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("naïve"), 5u);
  EXPECT_EQ(display_width("e\u0301"), 1u);
  EXPECT_EQ(display_width("専門家"), 6u);
  EXPECT_EQ(display_width("😀"), 2u);
  EXPECT_EQ(display_width("\xff"), 1u);
}

TEST(Text, FitWidth) {
  EXPECT_EQ(fit_width("expert", 6), "expert");
  EXPECT_EQ(fit_width("expert", 5), "expe…");
  EXPECT_EQ(fit_width("expert", 1), "…");
  EXPECT_EQ(fit_width("expert", 0), "");
  EXPECT_EQ(fit_width("専門家", 4), "専…");  // half a character cannot be shown
  EXPECT_EQ(display_width(fit_width("専門家", 5)), 5u);
}

TEST(Text, EscapesMarkup) {
  EXPECT_EQ(escape_markup("<a b=\"c\">&'"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;");
  EXPECT_EQ(escape_markup("é専"), "é専");
  EXPECT_EQ(escape_markup(std::string("a\x01\xff\0b", 5)), "a\ufffd\ufffd\ufffdb");
  EXPECT_EQ(escape_markup("a\tb\n"), "a\tb\n");
}

TEST(Text, Durations) {
  EXPECT_EQ(format_duration(0), "0:00");
  EXPECT_EQ(format_duration(7.4), "0:07");
  EXPECT_EQ(format_duration(59.6), "1:00");
  EXPECT_EQ(format_duration(754), "12:34");
  EXPECT_EQ(format_duration(3723), "1:02:03");
  EXPECT_EQ(format_duration(3 * 86400 + 4 * 3600 + 5 * 60 + 1), "3d 04:05");
  EXPECT_EQ(format_duration(-1), "?");
  EXPECT_EQ(format_duration(std::nan("")), "?");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::infinity()), "?");
}

TEST(Text, ThreeSignificantDigits) {
  EXPECT_EQ(format_significant(0), "0");
  EXPECT_EQ(format_significant(0.012345), "0.0123");
  EXPECT_EQ(format_significant(4.5), "4.50");
  EXPECT_EQ(format_significant(9.996), "10.0");
  EXPECT_EQ(format_significant(-99.96), "-100");
  EXPECT_EQ(format_significant(678.4), "678");
  EXPECT_EQ(format_significant(12345), "12345");
  EXPECT_EQ(format_significant(1.234e9), "1.23e+09");
  EXPECT_EQ(format_significant(1.234e-5), "1.23e-05");
  EXPECT_EQ(format_significant(std::nan("")), "nan");
}

}  // namespace
}  // namespace switchyard
