#include "base/byte_size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "switchyard/error.h"

namespace switchyard {
namespace {

TEST(ParseBytes, ReadsEveryUnit) {
  EXPECT_EQ(parse_bytes("0", "f"), 0u);
  EXPECT_EQ(parse_bytes("1234", "f"), 1234u);
  EXPECT_EQ(parse_bytes("17B", "f"), 17u);
  EXPECT_EQ(parse_bytes("1k", "f"), 1024u);
  EXPECT_EQ(parse_bytes("1KiB", "f"), 1024u);
  EXPECT_EQ(parse_bytes("1kb", "f"), 1000u);
  EXPECT_EQ(parse_bytes("512MB", "f"), 512000000u);
  EXPECT_EQ(parse_bytes(" 1.5 GiB ", "f"), 1610612736u);
  EXPECT_EQ(parse_bytes("2T", "f"), 2199023255552u);
  EXPECT_EQ(parse_bytes(".5k", "f"), 512u);
  EXPECT_EQ(parse_bytes("0.3", "f"), 0u);
}

TEST(ParseBytes, RefusesEverythingElse) {
  for (const char* text : {"", " ", "GiB", "-1", "+1", "1e3", "0x10", "nan", "inf", "1.2.3", "1XiB",
                           "1 G i B", "1GiBs", "25%", "1,5GiB"}) {
    try {
      parse_bytes(text, "--mem-budget");
      ADD_FAILURE() << "accepted '" << text << "'";
    } catch (const Error& error) {
      EXPECT_EQ(error.parts().where, "--mem-budget");
      EXPECT_THAT(error.parts().what, testing::HasSubstr("is not a size"));
      EXPECT_THAT(error.parts().expected, testing::HasSubstr("1.5GiB"));
    }
  }
}

TEST(ParseBytes, RefusesWhatDoesNotFit) {
  EXPECT_THROW(parse_bytes("16EiB", "f"), Error);
  EXPECT_THROW(parse_bytes("99999999999999999999999", "f"), Error);
  EXPECT_EQ(parse_bytes("15EiB", "f"), std::uint64_t{15} << 60);
}

TEST(ParseShare, ReadsPercents) {
  EXPECT_TRUE(is_share("25%"));
  EXPECT_TRUE(is_share(" 25 % "));
  EXPECT_FALSE(is_share("25"));
  EXPECT_FALSE(is_share(""));
  EXPECT_DOUBLE_EQ(parse_share("25%", "f"), 0.25);
  EXPECT_DOUBLE_EQ(parse_share("100 %", "f"), 1.0);
  EXPECT_DOUBLE_EQ(parse_share("0.5%", "f"), 0.005);
  for (const char* text : {"0%", "101%", "-5%", "%", "25", "", "25%%"}) {
    EXPECT_THROW(parse_share(text, "f"), Error) << text;
  }
}

TEST(FormatBytes, ThreeDigits) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(1024), "1.00 KiB");
  EXPECT_EQ(format_bytes(10235), "10.0 KiB");  // 9.9951
  EXPECT_EQ(format_bytes(1536u << 20), "1.50 GiB");
  EXPECT_EQ(format_bytes(64u << 20), "64.0 MiB");
  EXPECT_EQ(format_bytes((1u << 20) - 1), "1.00 MiB");  // not 1024 KiB
  EXPECT_EQ(format_bytes(~std::uint64_t{0}), "16.0 EiB");
}

}  // namespace
}  // namespace switchyard
