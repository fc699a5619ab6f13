#include "formats/finite_check.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

#include "switchyard/safetensors.h"

#include "support/errors.h"
#include "support/memory_file_system.h"

namespace switchyard {
namespace {

using testing_support::error_of;
using testing_support::MemoryFileSystem;

// A file with one tensor, longer than what is read at once.
WeightFiles with_value(float value, std::size_t at) {
  constexpr std::size_t kCount = (1U << 22) + 100;
  std::vector<float> values(kCount, 1.0F);
  values.at(at) = value;
  const auto bytes = std::as_bytes(std::span(values));
  MemoryFileSystem fs;
  SafetensorsWriter writer;
  writer.add("t", DType::f32, {kCount}, {bytes.begin(), bytes.end()});
  writer.commit(fs, "m.safetensors");
  return SafetensorsReader(fs, "m.safetensors");
}

TEST(FiniteCheckTest, FindsOneValueAnywhere) {
  ThreadPool pool(2);
  for (ThreadPool* threads : {static_cast<ThreadPool*>(nullptr), &pool}) {
    for (const std::size_t at :
         {std::size_t{0}, std::size_t{1} << 22, (std::size_t{1} << 22) + 99}) {
      for (const float bad : {NAN, -INFINITY}) {
        const WeightFiles weights = with_value(bad, at);
        const auto error = error_of([&] { check_finite(weights, weights.find("t"), threads); });
        EXPECT_EQ(error.where, "m.safetensors: tensor 't'");
        EXPECT_EQ(error.what, "a weight is " + std::to_string(bad));
      }
    }
    const WeightFiles weights = with_value(std::numeric_limits<float>::max(), 7);
    EXPECT_NO_THROW(check_finite(weights, weights.find("t"), threads));
  }
}

TEST(FiniteCheckTest, ReservedScales) {
  std::vector<std::byte> blocks(3 * 17);
  EXPECT_FALSE(has_reserved_scale(DType::mxfp4, blocks));
  blocks[18] = std::byte{255};  // a code
  EXPECT_FALSE(has_reserved_scale(DType::mxfp4, blocks));
  blocks[17] = std::byte{254};
  EXPECT_FALSE(has_reserved_scale(DType::mxfp4, blocks));
  blocks[34] = std::byte{255};
  EXPECT_TRUE(has_reserved_scale(DType::mxfp4, blocks));
  EXPECT_FALSE(has_reserved_scale(DType::q8_0, blocks));
}

}  // namespace
}  // namespace switchyard
