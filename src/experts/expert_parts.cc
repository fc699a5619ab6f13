#include "experts/expert_parts.h"

#include <fmt/core.h>

#include "switchyard/error.h"

#include "base/check.h"

namespace switchyard::experts {

std::vector<PartShape> part_shapes(const ModelConfig& config, int e) {
  SWITCHYARD_CHECK(config.moe.has_value());
  const std::int64_t hidden = config.moe->ffn(e).hidden;
  const std::int64_t width = config.width;
  std::vector<PartShape> parts;
  if (config.moe->expert.gated) parts.push_back({"gate", {hidden, width}});
  parts.push_back({"up", {hidden, width}});
  parts.push_back({"down", {width, hidden}});
  return parts;
}

int experts_of_layer(const ModelConfig& config, int l) {
  return config.layer_is_moe.at(static_cast<std::size_t>(l)) ? config.moe->router.experts : 0;
}

bool is_expert_dtype(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 || is_quantised(dtype);
}

void check_expert_dtype(const TensorInfo& tensor, const std::string& path) {
  if (is_expert_dtype(tensor.dtype)) return;
  throw Error({.what = fmt::format("an expert's weights are of type {}", dtype_name(tensor.dtype)),
               .where = fmt::format("{}: tensor '{}'", path, tensor.name),
               .expected = "F32, F16, BF16 or a quantised type",
               .fix = "convert the model to one of these"});
}

void require_experts(const ModelConfig& config, const std::string& directory) {
  if (config.moe) return;
  throw Error({.what = "the model has no experts",
               .where = directory,
               .expected = "a Mixture-of-Experts model",
               .fix = {}});
}

std::string join_path(const std::string& directory, std::string_view name) {
  std::string path = directory;
  if (!path.empty() && path.back() != '/') path += '/';
  return path.append(name);
}

}  // namespace switchyard::experts
