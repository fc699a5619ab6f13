#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

#include "switchyard/gguf.h"

#include "support/errors.h"

namespace switchyard {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::error_of;

GgufMetadata metadata() {
  GgufMetadata m("m.gguf");
  m.set("u8", std::uint8_t{200});
  m.set("i32", std::int32_t{-5});
  m.set("u64", std::numeric_limits<std::uint64_t>::max());
  m.set("f32", 0.5F);
  m.set("nan", std::numeric_limits<double>::quiet_NaN());
  m.set("bool", true);
  m.set("text", std::string("a\nb"));
  m.set("texts", GgufArray{std::vector<std::string>{"a", ""}});
  m.set("u16s", GgufArray{std::vector<std::uint16_t>{1, 2}});
  m.set("f64s", GgufArray{std::vector<double>{1.5, 2}});
  return m;
}

TEST(GgufMetadata, IntegersOfAnyWidth) {
  const GgufMetadata m = metadata();
  EXPECT_EQ(m.integer("u8", 0, 255), 200);
  EXPECT_EQ(m.integer("i32", -10, 10), -5);
  EXPECT_EQ(m.integer("absent", 0, 10, 7), 7);
  EXPECT_EQ(m.number("u8", 0, 255), 200.0);
  EXPECT_EQ(m.number("f32", 0, 1), 0.5);
  EXPECT_EQ(m.number("absent", 0, 1, 0.25), 0.25);
  EXPECT_TRUE(m.boolean("bool"));
  EXPECT_FALSE(m.boolean("absent", false));
  EXPECT_EQ(m.text("text"), "a\nb");
  EXPECT_EQ(m.text("absent", ""), "");
  EXPECT_THAT(m.texts("texts"), ElementsAre("a", ""));
  EXPECT_THAT(m.integers("u16s", 0, 2), ElementsAre(1, 2));
  EXPECT_THAT(m.floats("f64s"), ElementsAre(1.5F, 2.0F));
  EXPECT_EQ(m.array("u16s").size(), 2U);
}

TEST(GgufMetadata, ErrorsNameKeyValueAndRange) {
  const GgufMetadata m = metadata();
  const auto absent = error_of([&] { m.integer("llama.block_count", 1, 100); });
  EXPECT_EQ(absent.what, "key 'llama.block_count' is missing");
  EXPECT_EQ(absent.where, "m.gguf");
  EXPECT_EQ(absent.expected, "an integer from 1 to 100");
  EXPECT_EQ(error_of([&] { m.integer("u8", 0, 100); }).what, "key 'u8' is 200");
  EXPECT_EQ(error_of([&] { m.integer("u64", 0, INT64_MAX); }).what,
            "key 'u64' is 18446744073709551615");
  EXPECT_EQ(error_of([&] { m.integer("f32", 0, 10); }).what, "key 'f32' is 0.5");
  EXPECT_EQ(error_of([&] { m.integer("bool", 0, 10); }).what, "key 'bool' is true");
  EXPECT_EQ(error_of([&] { m.number("nan", -1e300, 1e300); }).what, "key 'nan' is nan");
  EXPECT_EQ(error_of([&] { m.number("f32", 1, 2); }).expected, "a number from 1 to 2");
  EXPECT_EQ(error_of([&] { m.boolean("u8"); }).expected, "true or false");
  EXPECT_THAT(error_of([&] { m.boolean("text"); }).what, HasSubstr("'a\\"));
  EXPECT_EQ(error_of([&] { m.text("texts"); }).what, "key 'texts' is an array of 2 string");
  EXPECT_EQ(error_of([&] { m.texts("u16s"); }).expected, "an array of texts");
  EXPECT_EQ(error_of([&] { m.integers("u16s", 0, 1); }).expected,
            "an array of integers from 0 to 1");
  EXPECT_EQ(error_of([&] { m.integers("f64s", 0, 1); }).what, "key 'f64s' is an array of 2 f64");
  EXPECT_EQ(error_of([&] { m.floats("u16s"); }).expected, "an array of f32 or f64");
  EXPECT_EQ(error_of([&] { m.array("u8"); }).expected, "an array");
  EXPECT_EQ(error_of([&] { m.floats("absent"); }).what, "key 'absent' is missing");
}

}  // namespace
}  // namespace switchyard
