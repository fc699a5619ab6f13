#include "models/dropout.h"

#include <ATen/CPUGeneratorImpl.h>

#include "base/random.h"

namespace switchyard::models {
namespace {

constexpr std::uint64_t kStream = std::uint64_t{1}
                                  << 32;  // apart from the routers' streams, whose pass is below it

}  // namespace

torch::Tensor dropout(const torch::Tensor& x, const ForwardContext& context, std::uint64_t place) {
  if (!context.training || context.dropout <= 0) return x;
  const switchyard::RandomKey key = {.seed = context.random.seed.value_or(0),
                                     .step = context.random.step,
                                     .pass = kStream + context.random.pass,
                                     .layer = place};
  // Drawn on the CPU wherever x is, so that every device sees the same mask.
  const at::Generator generator = at::detail::createCPUGenerator(key.hash());
  torch::Tensor mask =
      torch::empty(x.sizes(), torch::kFloat32).bernoulli_(1.0 - context.dropout, generator);
  mask.mul_(1.0 / (1.0 - context.dropout));
  return x * mask.to(x.options());
}

}  // namespace switchyard::models
