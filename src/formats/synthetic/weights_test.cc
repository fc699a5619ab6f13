#include "formats/synthetic/weights.h"

#include <cmath>
#include <gtest/gtest.h>
#include <set>
#include <stdexcept>

#include "formats/synthetic/shapes.h"
#include "formats/weight_check.h"

namespace switchyard {
namespace {

ModelConfig tiny(Family family) {
  return synthetic_config(find_synthetic_shape(kTinyShape, family), {.vocab = 512});
}

struct Moments {
  double mean = 0, variance = 0;
};

Moments moments(const std::vector<float>& values) {
  Moments m;
  for (const float v : values) m.mean += v;
  m.mean /= static_cast<double>(values.size());
  for (const float v : values) m.variance += (v - m.mean) * (v - m.mean);
  m.variance /= static_cast<double>(values.size());
  return m;
}

TEST(SyntheticWeightsTest, EveryFamilyHasAllItsTensorsAndOnlyThose) {
  for (const SyntheticShape& shape : synthetic_shapes()) {
    if (shape.name != kTinyShape) continue;
    const ModelConfig config = tiny(shape.family);
    const WeightFiles weights = synthetic_weights(config, {});
    EXPECT_NO_THROW(check_weights(config, weights)) << family_name(shape.family);
    EXPECT_EQ(weights.tensors().size(), expected_tensors(config).size());
  }
}

TEST(SyntheticWeightsTest, ValuesDependOnSeedAndPlaceAlone) {
  const ModelConfig config = tiny(Family::olmoe);
  ThreadPool pool(3);
  for (const SyntheticScale scale : {SyntheticScale::even, SyntheticScale::token_routed}) {
    const WeightFiles whole = synthetic_weights(config, {.seed = 5, .scale = scale});
    const WeightFiles pieces =
        synthetic_weights(config, {.seed = 5, .scale = scale, .pool = &pool});
    const std::string name = WeightNames(config.family).embedding();
    const std::vector<float> values = whole.read_f32(name);
    EXPECT_EQ(pieces.read_f32(name), values);
    TensorInfo piece = pieces.find(name);
    piece.shape = {3, config.width};
    piece.bytes = 3 * 4 * static_cast<std::uint64_t>(config.width);
    piece.offset += piece.bytes * 7;
    std::vector<float> rows(static_cast<std::size_t>(3 * config.width));
    pieces.read(piece, std::as_writable_bytes(std::span(rows)));
    EXPECT_TRUE(std::equal(rows.begin(), rows.end(), values.begin() + 21 * config.width));

    EXPECT_NE(synthetic_weights(config, {.seed = 6, .scale = scale}).read_f32(name), values);
    EXPECT_NE(whole.read_f32(WeightNames(config.family).output()), values);
  }
}

TEST(SyntheticWeightsTest, MatricesKeepTheSizeOfWhatTheyGet) {
  const ModelConfig config = tiny(Family::qwen3_moe);
  const WeightNames names(config.family);
  const WeightFiles even = synthetic_weights(config, {.scale = SyntheticScale::even});
  const WeightFiles routed = synthetic_weights(config, {});
  for (const WeightFiles* weights : {&even, &routed}) {
    const Moments up = moments(weights->read_f32(names.expert(1, 2, "up")));
    EXPECT_NEAR(up.mean, 0.0, 0.002);
    EXPECT_NEAR(up.variance * config.width, 1.0, 0.03);
    const Moments norm = moments(weights->read_f32(names.layer(0, "input_norm")));
    EXPECT_NEAR(norm.mean, 1.0, 0.05);
    EXPECT_NEAR(std::sqrt(norm.variance), 0.1, 0.02);
  }
  // What is added to the residual stream in 4 layers is a small part of it.
  const double even_down = moments(even.read_f32(names.expert(1, 2, "down"))).variance;
  const double routed_down = moments(routed.read_f32(names.expert(1, 2, "down"))).variance;
  const double embedding = moments(routed.read_f32(names.embedding())).variance;
  EXPECT_NEAR(routed_down / even_down, embedding * 0.25 / 8, 0.003 * embedding);
}

TEST(SyntheticWeightsTest, NoTwoTensorsAreAlike) {
  const ModelConfig config = tiny(Family::deepseek_v3);
  const WeightFiles weights = synthetic_weights(config, {});
  std::set<float> first;
  for (const auto& [name, tensor] : weights.tensors()) first.insert(weights.read_f32(name).front());
  EXPECT_EQ(first.size(), weights.tensors().size());
}

TEST(SyntheticWeightsTest, TellsHowManyValuesItMadeAndMayBeStopped) {
  const ModelConfig config = tiny(Family::llama);
  std::uint64_t made = 0;
  const WeightFiles counted =
      synthetic_weights(config, {.made = [&](std::uint64_t values) { made += values; }});
  for (const auto& [name, tensor] : counted.tensors()) static_cast<void>(counted.read_f32(name));
  EXPECT_EQ(made, config.parameters());

  const WeightFiles stopped =
      synthetic_weights(config, {.made = [](std::uint64_t) { throw std::runtime_error("stop"); }});
  EXPECT_THROW(static_cast<void>(stopped.read_f32(WeightNames(config.family).final_norm())),
               std::runtime_error);
}

}  // namespace
}  // namespace switchyard
