// Finite-difference gradient checks in double, and comparisons of tensors, for tests.
#pragma once

#include <functional>
#include <vector>

#include <torch/types.h>

namespace switchyard::models::testing {

// Uniform in [-1, 1), the same on every machine.
torch::Tensor random_tensor(torch::IntArrayRef sizes, std::uint64_t seed,
                            torch::ScalarType type = torch::kFloat32);

// The largest difference between the gradients backward gives and central differences, relative to
// the largest gradient. `leaves` are double and require gradients; `function` reads them and
// returns a tensor, of which the sum weighted with fixed random values is differentiated. At most
// `samples` elements of each leaf are probed.
double gradient_error(const std::vector<torch::Tensor>& leaves,
                      const std::function<torch::Tensor()>& function, int samples = 24);

// max |a - b| / max |b|, and 0 if both are all zero.
double relative_error(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace switchyard::models::testing
