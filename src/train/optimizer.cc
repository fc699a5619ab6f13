#include "train/optimizer.h"

#include <cmath>

#include <ATen/Parallel.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "base/check.h"

namespace switchyard::train {
namespace {

constexpr std::int64_t kGrain = 1 << 14;

// The numbers of one update, equal for all elements of a weight.
struct AdamStep {
  float beta1, beta2, epsilon;
  float gradient_scale;
  float coupled_decay;  // Adam: added to the gradient
  float keep;           // AdamW: the weight is multiplied by this first
  float rate;           // lr / (1 - beta1^t)
  float second_scale;   // 1 / (1 - beta2^t)
};

void adam_range(const AdamStep& s, float* w, const float* g, float* m, float* v, std::int64_t begin,
                std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    const float gradient = g[i] * s.gradient_scale + s.coupled_decay * w[i];
    m[i] = s.beta1 * m[i] + (1.0F - s.beta1) * gradient;
    v[i] = s.beta2 * v[i] + (1.0F - s.beta2) * gradient * gradient;
    w[i] = w[i] * s.keep - s.rate * m[i] / (std::sqrt(v[i] * s.second_scale) + s.epsilon);
  }
}

void sgd_range(float lr, float scale, float decay, float momentum, float* w, const float* g,
               float* m, std::int64_t begin, std::int64_t end) {
  for (std::int64_t i = begin; i < end; ++i) {
    m[i] = momentum * m[i] + g[i] * scale + decay * w[i];
    w[i] -= lr * m[i];
  }
}

}  // namespace

double gradient_norm(const std::vector<Parameter>& parameters) {
  double sum = 0;
  for (const Parameter& parameter : parameters) {
    const torch::Tensor& gradient = parameter.value.grad();
    if (!gradient.defined()) continue;
    const double norm = gradient.norm().item<float>();
    sum += norm * norm;
  }
  return std::sqrt(sum);
}

Optimizer::Optimizer(const OptimizerRecipe& recipe, std::vector<Parameter> parameters)
    : recipe_(recipe), parameters_(std::move(parameters)) {
  for (const Parameter& parameter : parameters_) {
    SWITCHYARD_CHECK(parameter.value.scalar_type() == torch::kFloat32 &&
                     parameter.value.is_contiguous());
    first_.push_back(
        torch::zeros_like(parameter.value, torch::TensorOptions().requires_grad(false)));
    if (recipe_.kind != OptimizerKind::sgd) second_.push_back(torch::zeros_like(first_.back()));
  }
}

void Optimizer::zero_gradients() {
  for (Parameter& parameter : parameters_) parameter.value.mutable_grad().reset();
}

std::vector<NamedTensor> Optimizer::state() const {
  std::vector<NamedTensor> out;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    out.push_back({parameters_[i].name + ".m", first_[i]});
    if (!second_.empty()) out.push_back({parameters_[i].name + ".v", second_[i]});
  }
  return out;
}

void Optimizer::step(double lr, double gradient_scale) {
  torch::NoGradGuard no_grad;
  ++steps_;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const torch::Tensor& gradient = parameters_[i].value.grad();
    if (!gradient.defined()) continue;
    if (parameters_[i].value.is_cpu() && gradient.is_contiguous()) {
      update_fused(i, lr, gradient_scale);
    } else {
      update_tensors(i, lr, gradient_scale);
    }
  }
}

void Optimizer::update_fused(std::size_t index, double lr, double gradient_scale) {
  torch::Tensor& value = parameters_[index].value;
  auto* w = value.data_ptr<float>();
  const auto* g = value.grad().data_ptr<float>();
  auto* m = first_[index].data_ptr<float>();
  const auto scale = static_cast<float>(gradient_scale);
  if (recipe_.kind == OptimizerKind::sgd) {
    at::parallel_for(0, value.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      sgd_range(static_cast<float>(lr), scale, static_cast<float>(recipe_.weight_decay),
                static_cast<float>(recipe_.momentum), w, g, m, begin, end);
    });
    return;
  }
  // Decoupled decay acts on matrices only: norms and biases have no reason to shrink.
  const bool decoupled = recipe_.kind == OptimizerKind::adamw;
  const double decay = value.dim() >= 2 || !decoupled ? recipe_.weight_decay : 0.0;
  const AdamStep s = {
      .beta1 = static_cast<float>(recipe_.beta1),
      .beta2 = static_cast<float>(recipe_.beta2),
      .epsilon = static_cast<float>(recipe_.epsilon),
      .gradient_scale = scale,
      .coupled_decay = static_cast<float>(decoupled ? 0.0 : decay),
      .keep = static_cast<float>(decoupled ? 1.0 - lr * decay : 1.0),
      .rate = static_cast<float>(lr / (1.0 - std::pow(recipe_.beta1, static_cast<double>(steps_)))),
      .second_scale =
          static_cast<float>(1.0 / (1.0 - std::pow(recipe_.beta2, static_cast<double>(steps_)))),
  };
  auto* v = second_[index].data_ptr<float>();
  at::parallel_for(0, value.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    adam_range(s, w, g, m, v, begin, end);
  });
}

// The same update in tensor operations, for weights on an accelerator.
void Optimizer::update_tensors(std::size_t index, double lr, double gradient_scale) {
  torch::Tensor& w = parameters_[index].value;
  torch::Tensor& m = first_[index];
  torch::Tensor gradient = w.grad() * gradient_scale;
  const bool decoupled = recipe_.kind == OptimizerKind::adamw;
  if (!decoupled) gradient = gradient + w * recipe_.weight_decay;
  if (recipe_.kind == OptimizerKind::sgd) {
    m.mul_(recipe_.momentum).add_(gradient);
    w.sub_(m * lr);
    return;
  }
  torch::Tensor& v = second_[index];
  m.mul_(recipe_.beta1).add_(gradient, 1.0 - recipe_.beta1);
  v.mul_(recipe_.beta2).addcmul_(gradient, gradient, 1.0 - recipe_.beta2);
  const double correction1 = 1.0 - std::pow(recipe_.beta1, static_cast<double>(steps_));
  const double correction2 = 1.0 - std::pow(recipe_.beta2, static_cast<double>(steps_));
  if (decoupled && w.dim() >= 2) w.mul_(1.0 - lr * recipe_.weight_decay);
  w.addcdiv_(m, (v / correction2).sqrt_().add_(recipe_.epsilon), -lr / correction1);
}

}  // namespace switchyard::train
