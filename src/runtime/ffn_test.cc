// Activations of a feed-forward network against their formulas.
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <vector>

#include "runtime/run.h"

namespace switchyard::runtime {
namespace {

TEST(Ffn, ClampedActivationIsThatOfGptOss) {
  std::vector<float> gate, up;
  std::vector<double> expected;
  for (float g = -20.0F; g <= 20.0F; g += 1.3F) {
    for (float u = -12.0F; u <= 12.0F; u += 1.7F) {
      gate.push_back(g);
      up.push_back(u);
      const double low = std::min(static_cast<double>(g), 7.0);
      const double within = std::clamp(static_cast<double>(u), -7.0, 7.0);
      expected.push_back((within + 1) * low / (1 + std::exp(-1.702 * low)));
    }
  }
  activate(kernels::best(), {.clamped = true}, gate.data(), up.data(), up.size());
  for (std::size_t i = 0; i < up.size(); ++i) {
    EXPECT_NEAR(up[i], expected[i], 1e-6 * std::max(1.0, std::abs(expected[i]))) << i;
  }
}

}  // namespace
}  // namespace switchyard::runtime
