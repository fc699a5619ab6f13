#include "train/flops.h"

#include <algorithm>
#include <chrono>

#include <torch/types.h>
#include <torch/utils.h>

namespace switchyard::train {

double measure_gemm_gflops() {
  constexpr std::int64_t kSize = 1024;
  constexpr int kTries = 5;
  torch::NoGradGuard no_grad;
  const torch::Tensor a = torch::ones({kSize, kSize});
  const torch::Tensor b = torch::ones({kSize, kSize});
  torch::Tensor c = torch::mm(a, b);
  double best = 0;
  for (int i = 0; i < kTries; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    torch::mm_out(c, a, b);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    best = std::max(best, 2.0 * kSize * kSize * kSize / seconds * 1e-9);
  }
  return best;
}

}  // namespace switchyard::train
