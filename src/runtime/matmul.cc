#include "runtime/matmul.h"

#include <algorithm>

namespace switchyard::runtime {
namespace {

// Outputs per piece of work: a weight panel that stays in the core's own cache while all rows pass
// over it.
std::size_t outputs_per_piece(const Product& product) {
  constexpr std::size_t kPanelBytes = 128 << 10;
  const std::size_t row_bytes =
      product.weight.columns *
      (product.weight.type == DType::bf16 ? sizeof(kernels::Bf16) : sizeof(float));
  const std::size_t outputs =
      std::max<std::size_t>(1, kPanelBytes / std::max<std::size_t>(1, row_bytes));
  return std::clamp<std::size_t>(outputs / 8 * 8, 8, 256);
}

std::size_t pieces(const Product& product) {
  const std::size_t block = outputs_per_piece(product);
  return (product.weight.rows + block - 1) / block;
}

void run_piece(const kernels::KernelSet& kernels, const Product& product, std::size_t piece) {
  const std::size_t block = outputs_per_piece(product);
  const std::size_t begin = piece * block;
  const std::size_t end = std::min(begin + block, product.weight.rows);
  kernels.matmul(product.weight, product.x, product.weight.columns, product.rows, begin, end,
                 product.y, product.weight.rows);
}

}  // namespace

void multiply(const kernels::KernelSet& kernels, ThreadPool& threads,
              std::span<const Product> products) {
  std::size_t work = 0;
  std::size_t total = 0;
  for (const Product& p : products) {
    work += p.weight.rows * p.weight.columns * p.rows;
    total += pieces(p);
  }
  const auto run_range = [&](std::size_t begin, std::size_t end) {
    std::size_t first = 0;
    for (const Product& p : products) {
      const std::size_t count = pieces(p);
      for (std::size_t i = std::max(begin, first); i < std::min(end, first + count); ++i) {
        run_piece(kernels, p, i - first);
      }
      first += count;
      if (first >= end) break;
    }
  };
  if (work < kSerialWork || threads.threads() == 1) {
    run_range(0, total);
    return;
  }
  threads.parallel_for(total, 1, run_range);
}

}  // namespace switchyard::runtime
