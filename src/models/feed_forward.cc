#include "models/feed_forward.h"

#include "base/check.h"

namespace switchyard::models {

torch::Tensor activate(const torch::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::silu:
      return torch::silu(x);
    case Activation::gelu:
      return torch::gelu(x, "none");
    case Activation::gelu_tanh:
      return torch::gelu(x, "tanh");
    case Activation::relu:
      return torch::relu(x);
  }
  SWITCHYARD_CHECK(false);
}

FeedForwardImpl::FeedForwardImpl(std::int64_t width, const FfnConfig& config) : ffn(config) {
  if (ffn.gated) gate = register_parameter("gate", torch::empty({ffn.hidden, width}));
  up = register_parameter("up", torch::empty({ffn.hidden, width}));
  down = register_parameter("down", torch::empty({width, ffn.hidden}));
}

torch::Tensor FeedForwardImpl::forward(const torch::Tensor& x) {
  if (!ffn.gated) return torch::linear(activate(torch::linear(x, up), ffn.activation), down);
  return torch::linear(activate(torch::linear(x, gate), ffn.activation) * torch::linear(x, up),
                       down);
}

}  // namespace switchyard::models
