#include "formats/tokenizer/normalizer.h"

#include <nlohmann/json.hpp>

#include "support/errors.h"

namespace switchyard::tokenizer {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing_support::error_of;

std::string normalized(const json& file, std::string_view text) {
  return make_normalizer(file, "t.json: normalizer")->apply(text);
}

json replace(const json& pattern, const std::string& content) {
  return {{"type", "Replace"}, {"pattern", pattern}, {"content", content}};
}

TEST(Normalizer, NullAndAnEmptySequenceDoNothing) {
  EXPECT_EQ(make_normalizer(nullptr, "t"), nullptr);
  EXPECT_EQ(make_normalizer({{"type", "Sequence"}, {"normalizers", json::array()}}, "t"), nullptr);
}

TEST(Normalizer, UnicodeForms) {
  EXPECT_EQ(normalized({{"type", "NFC"}}, "e\u0301"), "\u00E9");
  EXPECT_EQ(normalized({{"type", "NFD"}}, "\u00E9"), "e\u0301");
  EXPECT_EQ(normalized({{"type", "NFKC"}}, "\uFB01e\u0301"), "fi\u00E9");
  EXPECT_EQ(normalized({{"type", "NFKD"}}, "\uFB01\u00E9"), "fie\u0301");
  EXPECT_EQ(normalized({{"type", "Lowercase"}}, "ÄB"), "äb");
  EXPECT_EQ(normalized({{"type", "StripAccents"}}, "e\u0301"), "e");
}

TEST(Normalizer, PrependLeavesAnEmptyTextEmpty) {
  const json prepend = {{"type", "Prepend"}, {"prepend", "▁"}};
  EXPECT_EQ(normalized(prepend, "a"), "▁a");
  EXPECT_EQ(normalized(prepend, ""), "");
}

TEST(Normalizer, ReplaceTakesTextOrExpression) {
  EXPECT_EQ(normalized(replace({{"String", "a.b"}}, "[]"), "a.b axb a.ba.b"), "[] axb [][]");
  EXPECT_EQ(normalized(replace("aa", "b"), "aaaaa"), "bba");  // the old way to write it
  EXPECT_EQ(normalized(replace({{"Regex", R"(\s+)"}}, "_"), " a\u3000\n b"), "_a_b");
  // The content is text: no groups are put in.
  EXPECT_EQ(normalized(replace({{"Regex", "(a)"}}, "$1\\1"), "a"), "$1\\1");
}

TEST(Normalizer, StripKnowsUnicodeSpacesAndSides) {
  const std::string text = "\u3000 a b\u00A0\n";
  const auto strip = [](bool left, bool right) {
    return json{{"type", "Strip"}, {"strip_left", left}, {"strip_right", right}};
  };
  EXPECT_EQ(normalized(strip(true, true), text), "a b");
  EXPECT_EQ(normalized(strip(true, false), text), "a b\u00A0\n");
  EXPECT_EQ(normalized(strip(false, true), text), "\u3000 a b");
  EXPECT_EQ(normalized(strip(true, true), " \n "), "");
}

TEST(Normalizer, SequencesRunInOrder) {
  const json inner = {{"type", "Sequence"},
                      {"normalizers", json::array({{{"type", "Lowercase"}}})}};
  const json file = {
      {"type", "Sequence"},
      {"normalizers", {replace({{"String", "A"}}, "B"), inner, replace({{"String", "b"}}, "c")}}};
  EXPECT_EQ(normalized(file, "ABb"), "ccc");
}

TEST(Normalizer, WhatIsUnknownIsNamed) {
  const json file = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "Nmt"}}}}};
  const Error::Parts parts = error_of([&] { make_normalizer(file, "t.json: normalizer"); });
  EXPECT_EQ(parts.what, "a normalizer of kind 'Nmt' is not supported");
  EXPECT_EQ(parts.where, "t.json: normalizer.normalizers[1]");
  EXPECT_THAT(parts.expected, HasSubstr("NFC, NFD, NFKC, NFKD"));
}

TEST(Normalizer, EmptyPatternsAndMissingFieldsAreErrors) {
  EXPECT_EQ(error_of([] {
              normalized(replace({{"String", ""}}, "x"), "a");
            }).where,
            "t.json: normalizer");
  EXPECT_THAT(error_of([] {
                normalized({{"type", "Prepend"}}, "a");
              }).what,
              HasSubstr("'prepend' is missing"));
  EXPECT_THAT(error_of([] { normalized(json::array(), "a"); }).expected, HasSubstr("object"));
}

}  // namespace
}  // namespace switchyard::tokenizer
