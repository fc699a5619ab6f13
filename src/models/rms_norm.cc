#include "models/rms_norm.h"

namespace switchyard::models {

RmsNormImpl::RmsNormImpl(std::int64_t width, double epsilon_value) : epsilon(epsilon_value) {
  weight = register_parameter("weight", torch::empty({width}));
}

torch::Tensor RmsNormImpl::forward(const torch::Tensor& x) {
  const auto type = x.scalar_type();
  const auto wide = type == torch::kDouble ? x : x.to(torch::kFloat32);
  const auto scale = torch::rsqrt(wide.square().mean(-1, /*keepdim=*/true) + epsilon);
  return (wide * scale).to(type) * weight;
}

}  // namespace switchyard::models
