// The list of sets, choosing one, and the two conversions of bf16.
#include "kernels/kernels.h"

#include <bit>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

#include "switchyard/error.h"

#include "kernels/machine_limits.h"

namespace switchyard::kernels {
namespace {

using ::testing::HasSubstr;

TEST(KernelSets, ScalarIsFirstAndRunsEverywhere) {
  ASSERT_FALSE(all().empty());
  EXPECT_EQ(all().front().name, "scalar");
  EXPECT_TRUE(all().front().supported());
}

TEST(KernelSets, BestIsTheLastSupportedOne) {
  const KernelSet* last = nullptr;
  for (const KernelSet& set : all()) {
    if (set.supported()) last = &set;
  }
  EXPECT_EQ(&best(), last);
  EXPECT_EQ(&by_name("auto"), last);
}

TEST(KernelSets, EverySupportedSetCanBeForced) {
  for (const KernelSet& set : all()) {
    if (set.supported()) {
      EXPECT_EQ(&by_name(set.name), &set);
    }
  }
}

TEST(KernelSets, UnknownNameSaysWhichExist) {
  try {
    by_name("sse9");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.parts().what, "unknown kernel set");
    EXPECT_THAT(error.parts().where, HasSubstr("'sse9'"));
    EXPECT_THAT(error.parts().expected, HasSubstr("scalar"));
    EXPECT_FALSE(error.parts().fix.empty());
  }
}

bool never() { return false; }

TEST(KernelSets, SetTheCpuLacksIsRefusedByName) {
  KernelSet future = all().front();
  future.name = "future";
  future.supported = never;
  const KernelSet sets[] = {all().front(), future};
  EXPECT_EQ(choose(sets, "auto").name, "scalar");
  try {
    choose(sets, "future");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.parts().what, "this CPU does not run this kernel set");
    EXPECT_EQ(error.parts().expected, "one of auto, scalar");
  }
}

TEST(KernelSets, NoKernelIsMissing) {
  for (const KernelSet& set : all()) {
    SCOPED_TRACE(set.name);
    EXPECT_TRUE(set.matmul && set.matmul_q8 && set.to_q8 && set.dot && set.axpy && set.rms_norm &&
                set.softmax && set.silu && set.gelu && set.gelu_tanh && set.relu && set.cache_key &&
                set.cache_value && set.attend && set.merge_attention && set.finish_attention &&
                set.widen && set.rope);
  }
}

TEST(Bf16, WideningIsExactForEveryValue) {
  for (std::uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const auto value = static_cast<Bf16>(bits);
    EXPECT_EQ(std::bit_cast<std::uint32_t>(to_float(value)), bits << 16);
    if (!std::isnan(to_float(value))) {
      ASSERT_EQ(to_bf16(to_float(value)), value);
    }
  }
}

TEST(Bf16, RoundsToNearestAndTiesToEven) {
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f808000U)), 0x3f80);  // a tie above an even value
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f818000U)), 0x3f82);  // a tie above an odd value
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f808001U)), 0x3f81);
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f80ffffU)), 0x3f81);
  EXPECT_EQ(to_bf16(-std::numeric_limits<float>::max()),
            0xff80);  // nearer to infinity than to the largest bf16
  EXPECT_EQ(to_bf16(-0.0F), 0x8000);
}

TEST(Bf16, NanStaysNanWhereItsPayloadIsCut) {
  const float low_payload = std::bit_cast<float>(0x7f800001U);
  EXPECT_TRUE(std::isnan(to_float(to_bf16(low_payload))));
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::bit_cast<float>(0xffffffffU)))));
}

TEST(MachineLimits, AreMeasuredWithAnyNumberOfThreads) {
  for (const int threads : {1, 2}) {
    ThreadPool pool(threads);
    EXPECT_GT(measure_dram_read_gbps(pool, std::size_t{4} << 20), 0.1);
    EXPECT_GT(measure_fma_gflops(pool), 0.1);
    EXPECT_GT(measure_integer_gops(pool), 0.01);
  }
}

}  // namespace
}  // namespace switchyard::kernels
