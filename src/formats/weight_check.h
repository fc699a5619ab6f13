// Which tensors a model consists of, and whether a file holds them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "switchyard/model_config.h"
#include "switchyard/weight_files.h"

namespace switchyard {

// One dimension and the field of config.json that it comes from.
struct ExpectedDimension {
  std::int64_t size = 0;
  std::string field;
};

struct ExpectedTensor {
  std::string name;
  std::vector<ExpectedDimension> dimensions;

  std::vector<std::int64_t> shape() const;
};

// Every weight of the model, layer by layer. The sum of their elements is config.parameters().
std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config);

// Throws Error naming the first tensor that is missing, misshaped, not of a floating type, or that
// stands in the file although the config says that the model has no such part (one more layer, one
// more expert, a bias, a norm), with the field of config.json that contradicts it. Tensors that
// belong to no part are ignored.
void check_weights(const ModelConfig& config, const WeightFiles& weights);

}  // namespace switchyard
