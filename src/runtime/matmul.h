// Matrix products split over a thread pool. Several products with the same barrier, because a
// decode step is hundreds of small ones.
#pragma once

#include <span>

#include "switchyard/thread_pool.h"

#include "kernels/kernels.h"

namespace switchyard::runtime {

// y[n, :] = x[n, :] * weight^T for n in [0, rows). x [rows, I], y [rows, O].
struct Product {
  kernels::Matrix weight;
  const float* x = nullptr;
  std::size_t rows = 0;
  float* y = nullptr;
};

// Work below this many multiply-adds is not worth waking a thread.
inline constexpr std::size_t kSerialWork = 1 << 15;

void multiply(const kernels::KernelSet& kernels, ThreadPool& threads,
              std::span<const Product> products);

inline void multiply(const kernels::KernelSet& kernels, ThreadPool& threads,
                     const Product& product) {
  multiply(kernels, threads, std::span(&product, 1));
}

}  // namespace switchyard::runtime
