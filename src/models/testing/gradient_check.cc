#include "models/testing/gradient_check.h"

#include <algorithm>

namespace switchyard::models::testing {

torch::Tensor random_tensor(torch::IntArrayRef sizes, std::uint64_t seed, torch::ScalarType type) {
  auto values = torch::empty(sizes, torch::kFloat64);
  auto* data = values.data_ptr<double>();
  std::uint64_t state = seed * 0x9e3779b97f4a7c15U + 1;
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    data[i] = static_cast<double>(state >> 11U) * 0x1p-52 - 1.0;
  }
  return values.to(type);
}

double gradient_error(const std::vector<torch::Tensor>& leaves,
                      const std::function<torch::Tensor()>& function, int samples) {
  const auto probe = random_tensor(function().sizes(), 99, torch::kFloat64);
  const auto objective = [&] { return (function() * probe).sum(); };
  const auto gradients = torch::autograd::grad({objective()}, leaves);

  constexpr double kStep = 1e-5;
  double worst = 0, largest = 1e-12;
  const torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    auto values = leaves[i].detach().view({-1});  // shares memory with the leaf
    const auto gradient = gradients[i].reshape({-1});
    const auto stride = std::max<std::int64_t>(1, values.numel() / samples);
    for (std::int64_t j = 0; j < values.numel(); j += stride) {
      const auto original = values[j].item<double>();
      values[j] = original + kStep;
      const auto above = objective().item<double>();
      values[j] = original - kStep;
      const auto below = objective().item<double>();
      values[j] = original;
      const auto expected = (above - below) / (2 * kStep);
      worst = std::max(worst, std::abs(expected - gradient[j].item<double>()));
      largest = std::max(largest, std::abs(expected));
    }
  }
  return worst / largest;
}

double relative_error(const torch::Tensor& a, const torch::Tensor& b) {
  const auto wide_a = a.detach().to(torch::kFloat64), wide_b = b.detach().to(torch::kFloat64);
  const auto difference = (wide_a - wide_b).abs().max().item<double>();
  const auto scale = wide_b.abs().max().item<double>();
  return scale > 0 ? difference / scale : difference;
}

}  // namespace switchyard::models::testing
