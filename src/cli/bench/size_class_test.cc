#include "cli/bench/size_class.h"

#include <gtest/gtest.h>

#include "support/tiny_model.h"

namespace switchyard::cli::bench {
namespace {

TEST(SizeClass, CountsHaveTwoDigitsOrWhatIsBeforeThePoint) {
  EXPECT_EQ(short_count(0), "0");
  EXPECT_EQ(short_count(96), "96");
  EXPECT_EQ(short_count(999), "999");
  EXPECT_EQ(short_count(1000), "1K");
  EXPECT_EQ(short_count(1'280'000'000), "1.3B");
  EXPECT_EQ(short_count(6'919'161'856), "6.9B");
  EXPECT_EQ(short_count(9'960'000'000), "10B");
  EXPECT_EQ(short_count(46'702'792'704), "47B");
  EXPECT_EQ(short_count(999'499), "999K");
  EXPECT_EQ(short_count(999'500), "1M");
  EXPECT_EQ(short_count(671'000'000'000), "671B");
  EXPECT_EQ(short_count(1'040'000'000'000), "1T");
}

TEST(SizeClass, SaysFamilyAndWithExpertsWhatATokenUses) {
  ModelConfig olmoe = testing_support::tiny_olmoe();
  olmoe.vocab = 50304;
  olmoe.width = 2048;
  olmoe.layers = 16;
  olmoe.layer_is_moe.assign(16, true);
  olmoe.heads = olmoe.kv_heads = 16;
  olmoe.head_dim = 128;
  olmoe.moe->expert.hidden = 1024;
  olmoe.moe->router.experts = 64;
  olmoe.moe->router.experts_per_token = 8;
  EXPECT_EQ(size_class(olmoe), "olmoe 6.9B-A1.3B");
  EXPECT_EQ(size_class(testing_support::tiny_llama()).find("-A"), std::string::npos);
}

}  // namespace
}  // namespace switchyard::cli::bench
