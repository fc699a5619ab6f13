// Which matrices an expert of a model consists of, and where a slab in the pack has them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "switchyard/expert_pack.h"
#include "switchyard/model_config.h"

namespace switchyard::experts {

struct PartShape {
  std::string name;                 // "gate", "up", "down"
  std::vector<std::int64_t> shape;  // [out, in]
};

// Of expert e, in the order of a slab. Shapes: gate and up [F, D], down [D, F] with the expert's
// own width F. The model must have experts.
std::vector<PartShape> part_shapes(const ModelConfig& config, int e);

// Experts of layer l: E, or 0 for a dense layer.
int experts_of_layer(const ModelConfig& config, int l);

// The types the compute side reads.
bool is_expert_dtype(DType dtype);
// Throws Error naming the file and the tensor if it is of another type.
void check_expert_dtype(const TensorInfo& tensor, const std::string& path);

// Throws Error if the model has no experts at all.
void require_experts(const ModelConfig& config, const std::string& directory);

std::string join_path(const std::string& directory, std::string_view name);

}  // namespace switchyard::experts
