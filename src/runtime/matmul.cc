#include "runtime/matmul.h"

#include <algorithm>
#include <atomic>
#include <tuple>
#include <utility>
#include <vector>

#include "base/check.h"

namespace switchyard::runtime {
namespace {

// Outputs per piece, the least that is worth a call. Products with quantised weights go through 32
// at a time; the others through a panel that stays in the core's own cache.
std::size_t outputs_per_piece(const Product& product) {
  if (kernels::is_quantised_weight(product.weight.type)) return 32;
  constexpr std::size_t kPanelBytes = 128 << 10;
  const std::size_t outputs = kPanelBytes / std::max<std::size_t>(1, row_bytes(product.weight));
  return std::clamp<std::size_t>(outputs / 8 * 8, 8, 256);
}

std::size_t pieces(const Product& product) {
  const std::size_t block = outputs_per_piece(product);
  return (product.weight.rows + block - 1) / block;
}

// Hands out neighbouring pieces: many while much is left, as every start waits for memory, and few
// at the end, so that all threads finish together.
class Share {
 public:
  Share(std::size_t pieces, std::size_t threads) : pieces_(pieces), threads_(threads) {}

  // [begin, end); empty when nothing is left.
  std::pair<std::size_t, std::size_t> take() {
    constexpr std::size_t kMost = 8, kSharesOfAThread = 4;
    std::size_t begin = next_.load(std::memory_order_relaxed), end = 0;
    do {
      if (begin >= pieces_) return {pieces_, pieces_};
      const std::size_t fair = (pieces_ - begin) / (kSharesOfAThread * threads_);
      end = begin + std::clamp<std::size_t>(fair, 1, kMost);
    } while (!next_.compare_exchange_weak(begin, end, std::memory_order_relaxed));
    return {begin, end};
  }

 private:
  std::size_t pieces_, threads_;
  std::atomic<std::size_t> next_{0};
};

// Rows of x that become rows of 8 bits.
struct Rounding {
  const float* x = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::byte* out = nullptr;

  std::size_t bytes() const { return rows * kernels::q8_row_bytes(columns); }
};

// What each product multiplies with: null for plain weights.
struct Roundings {
  Roundings(std::span<const Product> products, std::span<std::byte> memory) {
    std::size_t used = 0;
    for (const Product& p : products) {
      of_product.push_back(p.rounded);
      if (p.rounded != nullptr || !kernels::is_quantised_weight(p.weight.type)) continue;
      const bool again = !list.empty() && list.back().x == p.x && list.back().rows == p.rows &&
                         list.back().columns == p.weight.columns;
      if (!again) {
        list.push_back({p.x, p.rows, p.weight.columns, memory.data() + used});
        used += list.back().bytes();
        SWITCHYARD_CHECK(used <= memory.size());
        rows += p.rows;
        values += p.rows * p.weight.columns;
      }
      of_product.back() = list.back().out;
    }
  }

  // Rounds rows [begin, end) of all.
  void run(const kernels::KernelSet& kernels, std::size_t begin, std::size_t end) const {
    std::size_t first = 0;
    for (const Rounding& r : list) {
      for (std::size_t i = std::max(begin, first); i < std::min(end, first + r.rows); ++i) {
        const std::size_t row = i - first;
        kernels.to_q8(r.x + row * r.columns, r.columns,
                      r.out + row * kernels::q8_row_bytes(r.columns));
      }
      first += r.rows;
    }
  }

  std::vector<Rounding> list;
  std::vector<const std::byte*> of_product;
  std::size_t rows = 0;
  std::size_t values = 0;
};

// Outputs of pieces [first, last) of a product.
void run_pieces(const kernels::KernelSet& kernels, const Product& product, const std::byte* rounded,
                std::size_t first, std::size_t last) {
  const std::size_t block = outputs_per_piece(product);
  const std::size_t begin = first * block;
  const std::size_t end = std::min(last * block, product.weight.rows);
  if (rounded != nullptr) {
    kernels.matmul_q8(product.weight, rounded, product.rows, begin, end, product.y,
                      product.weight.rows);
  } else {
    kernels.matmul(product.weight, product.x, product.weight.columns, product.rows, begin, end,
                   product.y, product.weight.rows);
  }
}

}  // namespace

std::size_t row_bytes(const kernels::Matrix& matrix) {
  const auto bytes = dtype_bytes(matrix.type, matrix.columns);
  SWITCHYARD_CHECK(bytes.has_value());  // a matrix's rows are whole blocks
  return static_cast<std::size_t>(*bytes);
}

void multiply(const kernels::KernelSet& kernels, ThreadPool& threads, std::span<std::byte> rounded,
              std::span<const Product> products) {
  std::size_t work = 0;
  std::size_t total = 0;
  for (const Product& p : products) {
    work += p.weight.rows * p.weight.columns * p.rows;
    total += pieces(p);
  }
  const Roundings roundings(products, rounded);
  const auto run_range = [&](std::size_t begin, std::size_t end) {
    std::size_t first = 0;
    for (std::size_t j = 0; j < products.size() && first < end; ++j) {
      const std::size_t count = pieces(products[j]);
      if (begin < first + count) {
        run_pieces(kernels, products[j], roundings.of_product[j], std::max(begin, first) - first,
                   std::min(end - first, count));
      }
      first += count;
    }
  };
  const bool serial = work < kSerialWork || threads.threads() == 1;
  if (serial || roundings.values < kSerialWork) {
    roundings.run(kernels, 0, roundings.rows);
  } else {
    threads.parallel_for(roundings.rows, 1, [&](std::size_t begin, std::size_t end) {
      roundings.run(kernels, begin, end);
    });
  }
  if (serial) {
    run_range(0, total);
  } else {
    const auto workers = static_cast<std::size_t>(threads.threads());
    Share share(total, workers);
    threads.parallel_for(workers, 1, [&](std::size_t, std::size_t) {
      for (auto [begin, end] = share.take(); begin < end; std::tie(begin, end) = share.take()) {
        run_range(begin, end);
      }
    });
  }
}

}  // namespace switchyard::runtime
