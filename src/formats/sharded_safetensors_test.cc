#include "formats/sharded_safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "switchyard/safetensors.h"

#include "formats/synthetic/weights.h"
#include "support/errors.h"
#include "support/memory_file_system.h"
#include "support/tiny_model.h"

namespace switchyard {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::MemoryFileSystem;

class ShardedSafetensorsTest : public ::testing::Test {
 protected:
  void SetUp() override { fs_.create_directories("m"); }

  MemoryFileSystem fs_;
  ModelConfig config_ = testing_support::tiny_olmoe();
  WeightFiles weights_ = synthetic_weights(config_, {});
};

TEST_F(ShardedSafetensorsTest, FewBytesAreOneFileWithoutAnIndex) {
  write_safetensors_model(fs_, "m", weights_);
  EXPECT_THAT(fs_.list("m"), ElementsAre("model.safetensors"));
}

TEST_F(ShardedSafetensorsTest, ManyBytesAreSeveralFilesWithTheSameTensors) {
  const std::uint64_t embedding = weights_.find("model.embed_tokens.weight").bytes;
  ThreadPool pool(3);
  std::uint64_t last = 0;
  std::uint64_t whole = 0;
  write_safetensors_model(fs_, "m", weights_,
                          {.shard_bytes = embedding - 1,
                           .pool = &pool,
                           .progress = [&](std::uint64_t done, std::uint64_t total) {
                             EXPECT_GT(done, last);
                             last = done;
                             whole = total;
                           }});
  EXPECT_EQ(last, whole);
  EXPECT_EQ(whole, 4 * config_.parameters());
  const auto names = fs_.list("m");
  const std::size_t shards = names.size() - 1;
  ASSERT_GT(shards, 3U);
  EXPECT_EQ(names.back(), "model.safetensors.index.json");
  char expected[64];
  for (std::size_t i = 0; i < shards; ++i) {
    std::snprintf(expected, sizeof expected, "model-%05zu-of-%05zu.safetensors", i + 1, shards);
    EXPECT_EQ(names[i], expected);
    // Only a single tensor may be larger than the limit.
    const SafetensorsReader shard(fs_, "m/" + names[i]);
    std::uint64_t bytes = 0;
    for (const auto& [name, tensor] : shard.tensors()) bytes += tensor.bytes;
    EXPECT_TRUE(bytes < embedding || shard.tensors().size() == 1) << names[i];
  }
  const SafetensorsReader read(fs_, "m");
  EXPECT_EQ(read.tensors().size(), weights_.tensors().size());
  for (const auto& [name, tensor] : weights_.tensors()) {
    EXPECT_EQ(read.read_f32(name), weights_.read_f32(name)) << name;
  }
}

TEST_F(ShardedSafetensorsTest, TypesAreThoseAskedFor) {
  write_safetensors_model(fs_, "m", weights_, {.type_of = [](const TensorInfo& tensor) {
                            return tensor.shape.size() == 2 ? DType::bf16 : DType::f32;
                          }});
  const SafetensorsReader read(fs_, "m");
  EXPECT_EQ(read.find("lm_head.weight").dtype, DType::bf16);
  EXPECT_EQ(read.find("model.norm.weight").dtype, DType::f32);
}

TEST_F(ShardedSafetensorsTest, NothingIsWrittenIfTheDiskCannotHoldAll) {
  fs_.say_free(4 * config_.parameters() - 1);
  const auto error = testing_support::error_of(
      [&] { write_safetensors_model(fs_, "m", weights_, {.shard_bytes = 1 << 12}); });
  EXPECT_THAT(error.what, HasSubstr("left"));
  EXPECT_THAT(error.fix, HasSubstr("free some space"));
  EXPECT_THAT(fs_.list("m"), ElementsAre());
}

}  // namespace
}  // namespace switchyard
