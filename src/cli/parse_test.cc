#include "cli/parse.h"

#include <gtest/gtest.h>
#include <iostream>

namespace switchyard::cli {
namespace {

TEST(Parse, TakesSeveralLettersBehindOneDash) {
  Console console{
      .in = std::cin, .out = std::cout, .err = std::cerr, .stop = {}, .files = real_file_system()};
  std::vector<std::string> pairs;
  std::string prompt;
  CLI::App app;
  app.add_option("--pg", pairs)->allow_extra_args(false);
  app.add_option("-p", prompt);
  EXPECT_TRUE(parse(app, {"-pg", "1,2", "-pg=3,4", "--pg", "5,6", "-pnew"}, console));
  EXPECT_EQ(pairs, (std::vector<std::string>{"1,2", "3,4", "5,6"}));
  EXPECT_EQ(prompt, "new");
  // Where there is no such option, it is what CLI11 makes of it.
  CLI::App plain;
  plain.add_option("-p", prompt);
  EXPECT_TRUE(parse(plain, {"-pg"}, console));
  EXPECT_EQ(prompt, "g");
}

}  // namespace
}  // namespace switchyard::cli
