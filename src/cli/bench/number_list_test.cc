#include "cli/bench/number_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/errors.h"

namespace switchyard::cli::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<int> numbers(const std::string& text, int least = 0) {
  return parse_number_list({text}, "-p", least);
}

TEST(NumberList, TakesNumbersListsAndRanges) {
  EXPECT_THAT(numbers("512"), ElementsAre(512));
  EXPECT_THAT(numbers("0"), ElementsAre(0));
  EXPECT_THAT(numbers("128,512,64"), ElementsAre(128, 512, 64));
  EXPECT_THAT(numbers("1-4"), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(numbers("7-7"), ElementsAre(7));
  EXPECT_THAT(numbers("128-512+128"), ElementsAre(128, 256, 384, 512));
  EXPECT_THAT(numbers("1-10+4"), ElementsAre(1, 5, 9));
  EXPECT_THAT(numbers("1-8*2"), ElementsAre(1, 2, 4, 8));
  EXPECT_THAT(numbers("3-20*3,0"), ElementsAre(3, 9, 0));
  EXPECT_THAT(numbers("1,,2,"), ElementsAre(1, 2));
  EXPECT_THAT(parse_number_list({"1,2", "3-4"}, "-p", 0), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(parse_number_list({}, "-p", 0), IsEmpty());
}

TEST(NumberList, RefusesAnythingElseNamingFlagAndPart) {
  for (const char* text :
       {"", ",", "many", "1.5", "-3", "4-1", "1-", "-", "1-4+0", "1-4+", "1-4*1", "0-4*2", "1-4x2",
        "1 2", "5*2x", "100000001", "99999999999999999999", "0-1001", "1-100000000"}) {
    const Error::Parts error = testing_support::error_of([&] { numbers(text); });
    EXPECT_EQ(error.where, "-p") << text;
    EXPECT_THAT(error.what, HasSubstr("is no list of numbers")) << text;
  }
  const Error::Parts error = testing_support::error_of([] { numbers("4,zero,5"); });
  EXPECT_THAT(error.what, HasSubstr("'zero'"));
}

TEST(NumberList, HoldsToTheLeastNumber) {
  EXPECT_THAT(numbers("1", 1), ElementsAre(1));
  EXPECT_THAT(testing_support::error_of([] { numbers("1,0", 1); }).expected,
              HasSubstr("numbers from 1 on"));
}

TEST(NumberList, PartsBetweenCommas) {
  EXPECT_THAT(split_list("a,b c,,d"), ElementsAre("a", "b c", "d"));
  EXPECT_THAT(split_list(""), IsEmpty());
  EXPECT_THAT(split_list(","), IsEmpty());
}

}  // namespace
}  // namespace switchyard::cli::bench
