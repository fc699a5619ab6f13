#include "formats/tokenizer/decoder.h"

#include <nlohmann/json.hpp>

#include "support/errors.h"

namespace switchyard::tokenizer {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing_support::error_of;

std::string decode(const json& file, const std::vector<std::string>& tokens) {
  Decoding decoding = Decoder(file, "t.json: decoder").start();
  std::string streamed;
  for (const std::string& token : tokens) {
    decoding.push(token, false);
    streamed += decoding.take_text();
  }
  decoding.finish();
  return streamed + decoding.take_text();
}

json sequence(const std::vector<json>& steps) {
  return {{"type", "Sequence"}, {"decoders", steps}};
}
json strip(const std::string& content, int start, int stop) {
  return {{"type", "Strip"}, {"content", content}, {"start", start}, {"stop", stop}};
}
json replace(const json& pattern, const std::string& content) {
  return {{"type", "Replace"}, {"pattern", pattern}, {"content", content}};
}
const json kByteFallback = {{"type", "ByteFallback"}};
const json kFuse = {{"type", "Fuse"}};

TEST(Decoder, NoneJoinsWithSpaces) { EXPECT_EQ(decode(nullptr, {"a", "b", ""}), "a b "); }

TEST(Decoder, ByteLevelJoinsBytesAcrossTokens) {
  const json file = {{"type", "ByteLevel"}};
  EXPECT_EQ(decode(file, {"Ġhello", "ĠÃ", "©"}), " hello é");
  // A byte alone is no character; what is outside the alphabet is itself.
  EXPECT_EQ(decode(file, {"a", "Ã", "b"}), "a\uFFFDb");
  EXPECT_EQ(decode(file, {"ä¸Ń", "ðŁĺ"}), "中\uFFFD");
  EXPECT_EQ(decode(file, {"a b", "中"}), "a b中");
}

TEST(Decoder, AddedTokensAreInNoByteAlphabet) {
  Decoding decoding = Decoder({{"type", "ByteLevel"}}, "t").start();
  decoding.push("é", true);
  decoding.push("é", false);
  decoding.finish();
  EXPECT_EQ(decoding.take_text(), "é\uFFFD");
}

TEST(Decoder, ByteFallbackTakesARunAsAWhole) {
  EXPECT_EQ(decode(kByteFallback, {"a", "<0xC3>", "<0xA9>", "b"}), "aéb");
  EXPECT_EQ(decode(kByteFallback, {"<0xC3>", "a"}), "\uFFFDa");
  EXPECT_EQ(decode(kByteFallback, {"<0xC3>", "<0xA9>", "<0xC3>"}), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(decode(kByteFallback, {"<0x0a>", "<0xG0>", "<0x0>", "<0x000>"}),
            "\n<0xG0><0x0><0x000>");
}

TEST(Decoder, StripWorksOnEachTokenAndOnTheWholeAfterFuse) {
  EXPECT_EQ(decode(strip("_", 1, 0), {"__a_", "_b", "c"}), "_a_bc");
  EXPECT_EQ(decode(strip("_", 0, 2), {"a___", "_b_", "___"}), "a__b_");
  EXPECT_EQ(decode(sequence({kFuse, strip("_", 1, 1)}), {"_", "_a", "b_", "_"}), "_ab_");
  EXPECT_EQ(decode(sequence({kFuse, strip("é", 2, 0)}), {"éé", "éa"}), "éa");
}

TEST(Decoder, MetaspaceDropsThoseOfTheFirstToken) {
  const auto metaspace = [](const char* scheme) {
    return json{{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", scheme}};
  };
  EXPECT_EQ(decode(metaspace("always"), {"▁a▁", "▁b"}), "a b");
  EXPECT_EQ(decode(metaspace("never"), {"▁a", "▁b"}), " a b");
  EXPECT_EQ(
      decode({{"type", "Metaspace"}, {"replacement", "▁"}, {"add_prefix_space", false}}, {"▁a"}),
      " a");
}

TEST(Decoder, TheChainOfLlama2) {
  const json file =
      sequence({replace({{"String", "▁"}}, " "), kByteFallback, kFuse, strip(" ", 1, 0)});
  EXPECT_EQ(decode(file, {"▁Hello", "▁", "▁world", "<0xF0>", "<0x9F>", "<0x99>", "<0x82>"}),
            "Hello  world🙂");
  EXPECT_EQ(decode(file, {}), "");
}

TEST(Decoder, ReplaceTakesExpressions) {
  EXPECT_EQ(decode(replace({{"Regex", "[xy]+"}}, "-"), {"axyb", "y"}), "a-b-");
}

TEST(Decoder, TextComesWhenItIsCertain) {
  Decoding decoding = Decoder({{"type", "ByteLevel"}}, "t").start();
  decoding.push("aÃ", false);
  EXPECT_EQ(decoding.take_text(), "a");
  decoding.push("©", false);
  EXPECT_EQ(decoding.take_text(), "é");
  decoding.push("ðŁ", false);
  EXPECT_EQ(decoding.take_text(), "");
  decoding.finish();
  EXPECT_EQ(decoding.take_text(), "\uFFFD");
}

TEST(Decoder, WhatIsUnknownIsNamed) {
  const Error::Parts parts = error_of([] { decode(sequence({kFuse, {{"type", "CTC"}}}), {}); });
  EXPECT_EQ(parts.what, "a decoder of kind 'CTC' is not supported");
  EXPECT_EQ(parts.where, "t.json: decoder.decoders[1]");
  EXPECT_EQ(error_of([] { decode(strip("ab", 1, 0), {}); }).expected, "one character");
  EXPECT_THAT(error_of([] { decode(strip("a", -1, 0), {}); }).what, HasSubstr("'start' is -1"));
}

}  // namespace
}  // namespace switchyard::tokenizer
