#include "models/init.h"

#include <cmath>
#include <numbers>

#include <ATen/Parallel.h>

namespace switchyard::models {
namespace {

// SplitMix64, Steele, Lea and Flood 2014.
std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31U);
}

// In (0, 1]: its logarithm is finite.
double unit(std::uint64_t bits) { return (static_cast<double>(bits >> 11U) + 1.0) * 0x1p-53; }

}  // namespace

void fill_normal(torch::Tensor tensor, double deviation, std::uint64_t seed,
                 std::string_view name) {
  std::uint64_t key = mix(seed);
  for (const char c : name) key = mix(key ^ static_cast<unsigned char>(c));
  const auto values = torch::empty(tensor.sizes(), torch::kFloat32);
  auto* data = values.data_ptr<float>();
  const auto count = values.numel();
  // Box and Muller 1958: two uniform values give two normal ones.
  at::parallel_for(0, (count + 1) / 2, 4096, [&](std::int64_t begin, std::int64_t end) {
    for (auto pair = begin; pair < end; ++pair) {
      const auto counter = key + 2 * static_cast<std::uint64_t>(pair);
      const double radius = deviation * std::sqrt(-2.0 * std::log(unit(mix(counter))));
      const double angle = 2.0 * std::numbers::pi * unit(mix(counter + 1));
      data[2 * pair] = static_cast<float>(radius * std::cos(angle));
      if (2 * pair + 1 < count) data[2 * pair + 1] = static_cast<float>(radius * std::sin(angle));
    }
  });
  const torch::NoGradGuard no_grad;
  tensor.copy_(values);
}

}  // namespace switchyard::models
