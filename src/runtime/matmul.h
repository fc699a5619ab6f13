// Matrix products split over a thread pool. Several products with the same barrier, because a
// decode step is hundreds of small ones.
#pragma once

#include <cstddef>
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
  // Of a quantised weight: the rows of x as to_q8 makes them, where they are there already; x is
  // not read then.
  const std::byte* rounded = nullptr;
};

std::size_t row_bytes(const kernels::Matrix& matrix);

// Work below this many multiply-adds is not worth waking a thread.
inline constexpr std::size_t kSerialWork = 1 << 15;

// `rounded` is memory for rows of x rounded to 8 bits, which quantised weights are multiplied with:
// q8_row_bytes(I) for each row, once for neighbouring products of the same x. Products of plain
// weights need none.
void multiply(const kernels::KernelSet& kernels, ThreadPool& threads, std::span<std::byte> rounded,
              std::span<const Product> products);

}  // namespace switchyard::runtime
