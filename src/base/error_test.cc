#include "switchyard/error.h"

#include <cerrno>
#include <gtest/gtest.h>
#include <string>

#include "base/check.h"
#include "base/checked_math.h"
#include "base/posix_error.h"

namespace switchyard {
namespace {

TEST(Error, IsOneLineOfItsParts) {
  const Error error({.what = "tensor is cut",
                     .where = "m.safetensors: 'w'",
                     .expected = "8 bytes",
                     .fix = "download it again"});
  EXPECT_STREQ(error.what(),
               "tensor is cut (m.safetensors: 'w'); expected 8 bytes; download it again");
  EXPECT_EQ(error.parts().expected, "8 bytes");
}

TEST(Error, LeavesEmptyPartsOut) {
  EXPECT_STREQ(Error({.what = "a", .where = {}, .expected = {}, .fix = {}}).what(), "a");
  EXPECT_STREQ(Error({.what = "a", .where = {}, .expected = {}, .fix = "f"}).what(), "a; f");
}

TEST(Error, NamesFromHostileFilesDoNotBreakTheLine) {
  const Error error(
      {.what = "unknown tensor", .where = "a\nb\r\x1b[31mred\x01", .expected = {}, .fix = {}});
  EXPECT_STREQ(error.what(), "unknown tensor (a b  [31mred )");
}

TEST(PosixError, KnownAndUnknownNumbers) {
  const Error full = posix_error(ENOSPC, "write", "d/x");
  EXPECT_STREQ(full.what(),
               "cannot write: the disk is full (d/x); free some space or choose a directory on "
               "another disk");
  const Error odd = posix_error(EDOM, "read", "x");
  EXPECT_EQ(odd.parts().where, "x");
  EXPECT_GT(odd.parts().what.size(), std::string("cannot read: ").size());
}

TEST(Check, ThrowsWithConditionAndPlace) {
  EXPECT_NO_THROW(SWITCHYARD_CHECK(1 + 1 == 2));
  try {
    SWITCHYARD_CHECK(1 + 1 == 3);
    FAIL() << "passed";
  } catch (const InternalError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("1 + 1 == 3"), std::string::npos);
    EXPECT_NE(text.find("error_test.cc"), std::string::npos);
  }
}

TEST(CheckedMath, OverflowIsAnAnswer) {
  constexpr std::uint64_t most = ~std::uint64_t{0};
  EXPECT_EQ(checked_add(most - 1, 1), most);
  EXPECT_EQ(checked_add(most, 1), std::nullopt);
  EXPECT_EQ(checked_multiply(std::uint64_t{1} << 32, (std::uint64_t{1} << 32) - 1),
            most - 0xffffffffu);
  EXPECT_EQ(checked_multiply(std::uint64_t{1} << 32, std::uint64_t{1} << 32), std::nullopt);
  EXPECT_EQ(checked_round_up(0, 4096), 0u);
  EXPECT_EQ(checked_round_up(1, 4096), 4096u);
  EXPECT_EQ(checked_round_up(4096, 4096), 4096u);
  EXPECT_EQ(checked_round_up(most - 10, 4096), std::nullopt);
}

}  // namespace
}  // namespace switchyard
