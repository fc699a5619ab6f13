// Products split over threads: every output is that of one call of the kernel, however many
// products, rows and threads there are, and whoever rounded the rows.
#include "runtime/matmul.h"

#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/kernels.h"

namespace switchyard::runtime {
namespace {

struct Weight {
  std::vector<std::uint8_t> bytes;
  kernels::Matrix matrix;

  // Random codes with scales of half precision that are numbers.
  Weight(DType type, std::size_t rows, std::size_t columns, unsigned seed)
      : bytes(static_cast<std::size_t>(*dtype_bytes(type, rows * columns))),
        matrix{type, bytes.data(), rows, columns} {
    std::minstd_rand random(seed);
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random() >> 8);
    if (type == DType::f32) {
      const float value = 0.25F;
      for (std::size_t i = 0; i < bytes.size(); i += sizeof(value))
        std::memcpy(bytes.data() + i, &value, sizeof(value));
    } else {
      const std::size_t block = type == DType::q4_0 ? 18 : 34;
      for (std::size_t i = 1; i < bytes.size(); i += block) bytes[i] = 0x28;
    }
  }
};

std::vector<float> numbers(std::size_t n, unsigned seed) {
  std::minstd_rand random(seed);
  std::vector<float> x(n);
  for (float& v : x) v = static_cast<float>(static_cast<int>(random() >> 8 & 0xffff) - 32768);
  return x;
}

struct Case {
  Weight weight;
  std::size_t rows;
  std::vector<float> x, y, expected;
  AlignedBuffer rounded;  // as to_q8 makes them

  Case(const kernels::KernelSet& set, DType type, std::size_t outputs, std::size_t columns,
       std::size_t n, unsigned seed)
      : weight(type, outputs, columns, seed),
        rows(n),
        x(numbers(n * columns, seed)),
        y(n * outputs),
        expected(n * outputs),
        rounded(n * kernels::q8_row_bytes(columns)) {
    if (type == DType::f32) {
      set.matmul(weight.matrix, x.data(), columns, n, 0, outputs, expected.data(), outputs);
      return;
    }
    for (std::size_t i = 0; i < n; ++i)
      set.to_q8(x.data() + i * columns, columns,
                rounded.data() + i * kernels::q8_row_bytes(columns));
    set.matmul_q8(weight.matrix, rounded.data(), n, 0, outputs, expected.data(), outputs);
  }
  Case(const Case&) = delete;
  Product product(bool already_rounded) {
    return {weight.matrix, already_rounded ? nullptr : x.data(), rows, y.data(),
            already_rounded ? rounded.data() : nullptr};
  }
};

TEST(Multiply, EveryOutputIsThatOfOneCallOfTheKernel) {
  const kernels::KernelSet& set = kernels::best();
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    for (const std::size_t rows : {std::size_t{1}, std::size_t{2}, std::size_t{5}}) {
      // Ends within a piece, fewer outputs than one, and enough for several shares of every thread.
      Case a(set, DType::q4_0, 1000, 256, rows, 1), b(set, DType::q8_0, 33, 64, rows, 2);
      Case c(set, DType::f32, 777, 130, rows, 3), d(set, DType::q4_0, 31, 256, rows, 4);
      for (const bool already_rounded : {false, true}) {
        AlignedBuffer memory(already_rounded ? 0 : 3 * rows * kernels::q8_row_bytes(256));
        const Product products[] = {a.product(already_rounded), b.product(already_rounded),
                                    c.product(false), d.product(already_rounded)};
        multiply(set, pool, {memory.data(), memory.size()}, products);
        for (Case* one : {&a, &b, &c, &d}) {
          EXPECT_EQ(one->y, one->expected) << threads << " threads, " << rows << " rows, "
                                           << one->weight.matrix.rows << " outputs";
          std::fill(one->y.begin(), one->y.end(), -1.0F);
        }
      }
    }
  }
}

}  // namespace
}  // namespace switchyard::runtime
