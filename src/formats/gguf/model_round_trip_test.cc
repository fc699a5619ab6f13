// A model in GGUF is the model of the directory it was made from: the same config, the same
// weights under the same names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "formats/gguf/testing_model.h"
#include "formats/weight_check.h"

namespace switchyard {

namespace testing_gguf {
void PrintTo(const NamedModel& model, std::ostream* out) { *out << model.name; }
}  // namespace testing_gguf

namespace {

using namespace testing_gguf;

class EveryModel : public testing::TestWithParam<NamedModel> {
 protected:
  static void expect_same(GgufModel& model) {
    const ModelConfig expected = read_model_config(model.fs, "hf");
    const GgufReader gguf(model.fs, kFile);
    const ModelConfig config = model_config_from_gguf(gguf);
    EXPECT_EQ(config, expected);
    const WeightFiles weights = weights_from_gguf(gguf, config);
    check_weights(config, weights);
    const SafetensorsReader original(model.fs, "hf");
    EXPECT_EQ(weights.tensors().size(), original.tensors().size());
    for (const auto& [name, tensor] : original.tensors()) {
      ASSERT_TRUE(weights.has(name)) << name;
      EXPECT_EQ(weights.find(name).shape, tensor.shape) << name;
      EXPECT_EQ(weights.read_f32(name), original.read_f32(name)) << name;
    }
  }
};

TEST_P(EveryModel, ComesBack) {
  GgufModel model(GetParam().config);
  expect_same(model);
}

TEST_P(EveryModel, ComesBackPacked) {
  GgufModel model(GetParam().config, {.packed = true});
  expect_same(model);
  const GgufReader gguf(model.fs, kFile);
  for (const auto& [name, tensor] : gguf.tensors()) EXPECT_EQ(tensor.offset % 4096, 0U) << name;
}

TEST_P(EveryModel, ComesBackFromBf16) {
  GgufModel model(GetParam().config, {}, DType::bf16);
  expect_same(model);
  const GgufReader gguf(model.fs, kFile);
  EXPECT_EQ(gguf.find("token_embd.weight")->type, gguf_tensor_type_id(DType::bf16));
  EXPECT_EQ(gguf.find("output_norm.weight")->type, gguf_tensor_type_id(DType::f32));
}

TEST_P(EveryModel, ComesBackFromItself) {
  GgufModel model(GetParam().config);
  const GgufReader gguf(model.fs, kFile);
  const ModelConfig config = model_config_from_gguf(gguf);
  write_gguf(model.fs, "again.gguf", config, weights_from_gguf(gguf, config));
  EXPECT_EQ(read_file(model.fs, "again.gguf"), read_file(model.fs, kFile));
}

TEST_P(EveryModel, PoolChangesNothing) {
  ThreadPool pool(3);
  const auto to_f16 = [](const std::string&, std::span<const std::int64_t>) { return DType::f16; };
  GgufModel alone(GetParam().config, {.type_of = to_f16});
  GgufModel together(GetParam().config, {.type_of = to_f16, .pool = &pool});
  EXPECT_EQ(read_file(alone.fs, kFile), read_file(together.fs, kFile));
}

INSTANTIATE_TEST_SUITE_P(Models, EveryModel, testing::ValuesIn(tiny_models()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace switchyard
