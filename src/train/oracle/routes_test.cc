#include "train/oracle/routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "switchyard/error.h"
#include "switchyard/routing.h"

namespace switchyard::train::oracle {
namespace {

constexpr std::int32_t kTwo[] = {kBig, kSmall};
constexpr std::int32_t kThree[] = {kBig, kSmall, routing::kNoExpert};

// Duo-LLM, section 6.4: |enumerate(L, b)| = C(L, b), the sum over b is 2^L, with skip 3^L; no
// duplicates.
TEST(Routes, AsManyAsThereAreCombinationsAndNoneTwice) {
  std::size_t sum = 0;
  const std::size_t combinations[] = {1, 6, 15, 20, 15, 6, 1};
  for (int b = 0; b <= 6; ++b) {
    const auto routes = enumerate_routes(6, b, kTwo);
    EXPECT_EQ(routes.size(), combinations[b]);
    for (const Route& route : routes) EXPECT_EQ(budget_of(route), b);
    EXPECT_EQ(std::set<Route>(routes.begin(), routes.end()).size(), routes.size());
    sum += routes.size();
  }
  EXPECT_EQ(sum, 64U);
  const auto all = enumerate_routes(6, std::nullopt, kTwo);
  EXPECT_EQ(std::set<Route>(all.begin(), all.end()).size(), 64U);
  for (int b = 0; b <= 6; ++b) EXPECT_EQ(with_budget(all, b).size(), combinations[b]);
  EXPECT_EQ(enumerate_routes(4, std::nullopt, kThree).size(), 81U);
  EXPECT_EQ(enumerate_routes(4, 2, kThree).size(), 6U * 4);
}

TEST(Routes, StandInTheOrderOfTheOptionsSoThatTheFirstIsAllBig) {
  const auto routes = enumerate_routes(2, std::nullopt, kThree);
  std::vector<std::string> texts;
  for (const Route& route : routes) texts.push_back(to_text(route));
  EXPECT_THAT(texts, ::testing::ElementsAre("BB", "BS", "B-", "SB", "SS", "S-", "-B", "-S", "--"));
}

TEST(Routes, TooManyAreRefused) {
  try {
    enumerate_routes(24, std::nullopt, kTwo);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.parts().what, ::testing::HasSubstr("65536"));
    EXPECT_THAT(error.parts().where, ::testing::HasSubstr("24 layers"));
  }
}

}  // namespace
}  // namespace switchyard::train::oracle
