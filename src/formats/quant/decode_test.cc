#include <bit>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <memory>
#include <string>

#include "switchyard/weight_files.h"

#include "base/check.h"
#include "formats/dtype.h"
#include "formats/quant/oracle.h"
#include "formats/quant/quant.h"
#include "support/errors.h"
#include "support/memory_file_system.h"

namespace switchyard::quant {
namespace {

std::vector<float> decoded(DType dtype, std::span<const std::uint8_t> bytes) {
  const DTypeBlock block = dtype_block(dtype);
  std::vector<float> values(bytes.size() / block.bytes * block.elements);
  decode_rows(dtype, std::as_bytes(bytes), values);
  return values;
}

void expect_oracle(DType dtype, const std::vector<std::uint8_t>& bytes) {
  const DTypeBlock block = dtype_block(dtype);
  const std::vector<float> values = decoded(dtype, bytes);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float expected = oracle_value(dtype, bytes.data() + i / block.elements * block.bytes,
                                        static_cast<int>(i % block.elements));
    ASSERT_EQ(std::bit_cast<std::uint32_t>(values[i]), std::bit_cast<std::uint32_t>(expected))
        << "value " << i << ": " << values[i] << ", expected " << expected;
  }
}

class DecodeTest : public testing::TestWithParam<DType> {};

TEST_P(DecodeTest, GivesTheBitsOfTheDefinition) {
  expect_oracle(GetParam(), random_blocks(GetParam(), 64));
}

TEST_P(DecodeTest, GivesTheBitsOfTheDefinitionForExtremeScales) {
  const DType dtype = GetParam();
  // Zero, least and largest subnormal, least normal, one, largest; and their negatives.
  for (const std::uint16_t magnitude : {0x0000, 0x0001, 0x03ff, 0x0400, 0x3c00, 0x7bff}) {
    for (const std::uint16_t sign : {0x0000, 0x8000}) {
      SCOPED_TRACE(magnitude | sign);
      auto bytes = random_blocks(dtype, 4);
      for (std::size_t n = 0; n < 4; ++n)
        set_f16_fields(dtype, bytes.data() + n * dtype_block(dtype).bytes, magnitude | sign);
      expect_oracle(dtype, bytes);
    }
  }
}

TEST_P(DecodeTest, EveryCodeAndIntegerScaleAtItsEnds) {
  const DType dtype = GetParam();
  for (const std::uint8_t fill : {0x00, 0xff, 0x0f, 0xf0, 0x80, 0x7f}) {
    SCOPED_TRACE(static_cast<int>(fill));
    std::vector<std::uint8_t> bytes(dtype_block(dtype).bytes, fill);
    set_f16_fields(dtype, bytes.data(), 0x3555);
    expect_oracle(dtype, bytes);
  }
}

TEST_P(DecodeTest, ReadsFromAnyAddress) {
  const DType dtype = GetParam();
  const auto bytes = random_blocks(dtype, 3);
  const auto expected = decoded(dtype, bytes);
  std::vector<std::uint8_t> shifted(bytes.size() + 1);
  std::memcpy(shifted.data() + 1, bytes.data(), bytes.size());
  EXPECT_EQ(decoded(dtype, std::span(shifted).subspan(1)), expected);
}

TEST_P(DecodeTest, ConvertToF32AndReadF32TakeQuantisedTypes) {
  const DType dtype = GetParam();
  const auto bytes = random_blocks(dtype, 4);
  const auto expected = decoded(dtype, bytes);
  std::vector<float> converted(expected.size());
  convert_to_f32(dtype, std::as_bytes(std::span(bytes)), converted);
  EXPECT_EQ(converted, expected);

  testing_support::MemoryFileSystem fs;
  fs.put("weights", "head" + std::string(bytes.begin(), bytes.end()));
  const auto columns = static_cast<std::int64_t>(expected.size() / 2);
  const TensorInfo tensor{.name = "w",
                          .dtype = dtype,
                          .shape = {2, columns},
                          .file = 0,
                          .offset = 4,
                          .bytes = bytes.size()};
  const WeightFiles files({"weights"}, {fs.open("weights")}, {{"w", tensor}});
  EXPECT_EQ(files.read_f32("w"), expected);
}

std::string name_of(const testing::TestParamInfo<DType>& info) {
  return std::string(dtype_name(info.param));
}

std::vector<DType> all_types() {
  std::vector<DType> types;
  for (const Format& format : formats()) types.push_back(format.dtype);
  return types;
}

INSTANTIATE_TEST_SUITE_P(Types, DecodeTest, testing::ValuesIn(all_types()), name_of);

// FNV-1a over the bytes of 1024 random blocks decoded. Not ours: ik_llama.cpp at commit 8337e4cd3,
// its dequantize_row_* functions compiled without contraction of products and sums
// (-ffp-contract=off), fed with the bytes of random_blocks.
struct Golden {
  DType dtype;
  std::uint64_t hash;
};
constexpr Golden kGolden[] = {
    {DType::q4_0, 0xf8f2f366bcd05ba3U},   {DType::q4_1, 0xf4037666030cdb24U},
    {DType::q5_0, 0xf7ac64109958225cU},   {DType::q5_1, 0x6f07485758d0d9ccU},
    {DType::q8_0, 0xabbdd6d72dc470c3U},   {DType::q2_k, 0x2a75d6d2b1025865U},
    {DType::q3_k, 0x08b692aee1cd2d4aU},   {DType::q4_k, 0xad6c195f3f26aa0bU},
    {DType::q5_k, 0x6ded7221d3b98318U},   {DType::q6_k, 0xeefe18c161926c36U},
    {DType::iq4_nl, 0xd471267067ae75d0U}, {DType::iq4_xs, 0x18f37cbda3e1de33U},
    {DType::mxfp4, 0xb16c041100eaa73bU},
};

TEST(QuantGolden, DecodesToTheBitsOfAnotherImplementation) {
  EXPECT_EQ(std::size(kGolden), formats().size());
  for (const Golden& golden : kGolden) {
    const auto values = decoded(golden.dtype, random_blocks(golden.dtype, 1024));
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const std::byte byte : std::as_bytes(std::span(values)))
      hash = (hash ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3U;
    EXPECT_EQ(hash, golden.hash) << dtype_name(golden.dtype);
  }
}

TEST(QuantFormats, ListEveryQuantisedTypeOnce) {
  for (int i = 0; i <= static_cast<int>(DType::mxfp4); ++i) {
    const auto dtype = static_cast<DType>(i);
    const Format* format = find(dtype);
    EXPECT_EQ(format != nullptr, is_quantised(dtype)) << dtype_name(dtype);
    if (format != nullptr) {
      EXPECT_EQ(format->dtype, dtype);
    }
  }
}

TEST(QuantFormats, AScaleThatIsNotFiniteShowsInTheValues) {
  std::vector<std::uint8_t> block(34, 1);
  set_f16_fields(DType::q8_0, block.data(), 0x7e00);
  for (const float v : decoded(DType::q8_0, block)) EXPECT_TRUE(std::isnan(v));
  set_f16_fields(DType::q8_0, block.data(), 0x7c00);
  for (const float v : decoded(DType::q8_0, block)) EXPECT_TRUE(std::isinf(v));
}

TEST(QuantFormats, SizesThatDoNotFitAreOurBug) {
  std::vector<std::byte> block(18);
  std::vector<float> values(32);
  EXPECT_THROW(decode_rows(DType::f32, block, values), InternalError);
  EXPECT_THROW(decode_rows(DType::q4_0, std::span(block).first(17), values), InternalError);
  EXPECT_THROW(decode_rows(DType::q4_0, block, std::span(values).first(31)), InternalError);
}

TEST(QuantFormats, ReadF32RefusesWholeNumbers) {
  testing_support::MemoryFileSystem fs;
  fs.put("weights", "12345678");
  const TensorInfo tensor{
      .name = "w", .dtype = DType::i64, .shape = {1}, .file = 0, .offset = 0, .bytes = 8};
  const WeightFiles files({"weights"}, {fs.open("weights")}, {{"w", tensor}});
  const Error::Parts parts = testing_support::error_of([&] { files.read_f32("w"); });
  EXPECT_EQ(parts.what, "the dtype is I64");
  EXPECT_EQ(parts.expected, "F32, F16, BF16, F64 or a quantised type");
}

}  // namespace
}  // namespace switchyard::quant
