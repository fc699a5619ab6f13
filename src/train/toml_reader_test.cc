#include "train/toml_reader.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/errors.h"

namespace switchyard::train {
namespace {

using testing_support::error_of;

TEST(TomlReader, BadTomlNamesLineAndColumn) {
  const auto parts = error_of([] { parse_toml("a = 1\nb = = 2\n", "r.toml"); });
  EXPECT_TRUE(parts.where.starts_with("r.toml:2:")) << parts.where;
}

TEST(TomlReader, UnknownKeyNamesLineKnownKeysAndTheNearest) {
  const TomlDocument document = parse_toml("[train]\nsteps = 1\n\nsede = 3\n", "r.toml");
  TomlReader in(document, "train");
  int steps = 0;
  std::uint64_t seed = 0;
  in.get("steps", steps, 0, 10);
  in.get("seed", seed);
  const auto parts = error_of([&] { in.finish(); });
  EXPECT_EQ(parts.what, "unknown key 'sede'");
  EXPECT_EQ(parts.where, "r.toml:4: [train] sede");
  EXPECT_EQ(parts.expected, "one of seed, steps");
  EXPECT_EQ(parts.fix, "did you mean 'seed'?");
}

TEST(TomlReader, RangesAndTypesAreChecked) {
  const TomlDocument document =
      parse_toml("a = 11\nb = \"x\"\nc = 1.5\nd = [1]\ne = nan\n", "r.toml");
  TomlReader in(document, "");
  int number = 0;
  double real = 0;
  bool flag = false;
  std::string text;
  std::vector<std::string> list;
  EXPECT_EQ(error_of([&] { in.get("a", number, 0, 10); }).expected, "a whole number from 0 to 10");
  EXPECT_EQ(error_of([&] { in.get("b", number, 0, 10); }).where, "r.toml:2: b");
  EXPECT_EQ(error_of([&] { in.get("c", number, 0, 10); }).expected, "a whole number from 0 to 10");
  EXPECT_EQ(error_of([&] { in.get("c", flag); }).expected, "true or false");
  EXPECT_EQ(error_of([&] { in.get("c", text); }).expected, "a string in quotes");
  EXPECT_EQ(error_of([&] { in.get("d", list); }).expected, "a string or a list of strings");
  EXPECT_EQ(error_of([&] { in.get("e", real, 0, 1); }).expected, "a number from 0 to 1");
  in.get("a", real, 0, 100);
  EXPECT_EQ(real, 11.0);
}

TEST(TomlReader, ChoicesSuggest) {
  const TomlDocument document = parse_toml("optimizer = \"adamv\"\n", "r.toml");
  TomlReader in(document, "");
  int index = 0;
  const auto parts = error_of([&] { in.get_choice("optimizer", {"adamw", "sgd"}, index); });
  EXPECT_EQ(parts.what, "'optimizer' has an unknown value 'adamv'");
  EXPECT_EQ(parts.fix, "did you mean 'adamw'?");
}

TEST(TomlReader, OverridesAreTomlOrText) {
  TomlDocument document = parse_toml("[train]\nlr = 1.0\n", "r.toml");
  apply_override(document, "train.lr=3e-4");
  apply_override(document, "data.train=/tmp/my book.txt");
  apply_override(document, "data.test=[\"a\", \"b\"]");
  TomlReader train(document, "train");
  TomlReader data(document, "data");
  double lr = 0;
  std::string path;
  std::vector<std::string> list;
  train.get("lr", lr, 0, 1);
  data.get("train", path);
  data.get("test", list);
  EXPECT_EQ(lr, 3e-4);
  EXPECT_EQ(path, "/tmp/my book.txt");
  EXPECT_EQ(list, (std::vector<std::string>{"a", "b"}));
  apply_override(document, "train.lr=5");
  EXPECT_EQ(error_of([&] { train.get("lr", lr, 0, 1); }).where, "--set train.lr=5");
}

TEST(TomlReader, BadOverrides) {
  TomlDocument document = parse_toml("x = 1\n", "r.toml");
  for (const char* bad : {"novalue", "=1", "a..b=1", ".a=1"}) {
    EXPECT_EQ(error_of([&] { apply_override(document, bad); }).what,
              "an override is not an assignment")
        << bad;
  }
  EXPECT_EQ(error_of([&] { apply_override(document, "x.y=1"); }).what,
            "'x' is a value, not a section");
  // A value cannot smuggle in other keys.
  apply_override(document, "y=1\nz = 2");
  EXPECT_EQ(document.root.get("z"), nullptr);
}

TEST(TomlReader, RemoveKey) {
  TomlDocument document = parse_toml("[a]\nb = 1\n[c]\n", "r.toml");
  remove_key(document, "a.b");
  remove_key(document, "c");
  EXPECT_EQ(TomlReader(document, "").as_json().dump(), R"({"a":{}})");
  EXPECT_EQ(error_of([&] { remove_key(document, "c"); }).what,
            "'c' cannot be taken out, it is not there");
}

}  // namespace
}  // namespace switchyard::train
