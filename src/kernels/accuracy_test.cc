// The scalar set against the same thing in double. The other sets have the scalar set's bits
// (agreement_test.cc).
//
// u is the unit roundoff of float, 2^-24.
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <numbers>

#include "kernels/kernels.h"
#include "kernels/test_support.h"

namespace switchyard::kernels {
namespace {

constexpr double kU = 0x1p-24;
const KernelSet& scalar() { return all().front(); }

// A sum passes through at most ceil(n / 16) fused additions and the 4 levels of the tree, each of
// which rounds once: |error| <= m u / (1 - m u) * sum |a_i b_i| with m = ceil(n / 16) + 4.
double dot_bound(std::size_t n, double absolute_sum) {
  const double m = std::ceil(static_cast<double>(n) / 16.0) + 4.0;
  return m * kU / (1.0 - m * kU) * absolute_sum;
}

TEST(Accuracy, DotStaysWithinTheBoundOfItsSummationOrder) {
  for (const std::size_t n : {0, 1, 15, 16, 17, 1000, 4096, 100000}) {
    for (unsigned seed = 0; seed < 5; ++seed) {
      const auto a = normal_numbers(n, seed), b = normal_numbers(n, seed + 100);
      double exact = 0, absolute = 0;
      for (std::size_t i = 0; i < n; ++i) {
        const double product = static_cast<double>(a[i]) * static_cast<double>(b[i]);
        exact += product;
        absolute += std::abs(product);
      }
      EXPECT_LE(std::abs(scalar().dot(a.data(), b.data(), n) - exact), dot_bound(n, absolute)) << n;
    }
  }
}

TEST(Accuracy, MatmulAgainstTheNaiveProduct) {
  const std::size_t outputs = 11, columns = 300, n_rows = 17;
  const auto x = normal_numbers(n_rows * columns, 1);
  const auto weight = narrowed(normal_numbers(outputs * columns, 2));
  std::vector<float> y(n_rows * outputs);
  scalar().matmul({DType::bf16, weight.data(), outputs, columns}, x.data(), columns, n_rows, 0,
                  outputs, y.data(), outputs);
  for (std::size_t n = 0; n < n_rows; ++n) {
    for (std::size_t o = 0; o < outputs; ++o) {
      double exact = 0, absolute = 0;
      for (std::size_t i = 0; i < columns; ++i) {
        const double product =
            static_cast<double>(x[n * columns + i]) * to_float(weight[o * columns + i]);
        exact += product;
        absolute += std::abs(product);
      }
      EXPECT_LE(std::abs(y[n * outputs + o] - exact), dot_bound(columns, absolute));
    }
  }
}

TEST(Accuracy, DotOrderIsTheDocumentedOne) {
  // 2^24 swallows a 1 that is added to it alone. In sum 0 come 2^24, then 1, then -2^24: the 1 is
  // lost. Spread over two sums it survives. So the two results tell the order apart from a sum that
  // runs straight through.
  std::vector<float> a(33, 0.0F);
  const std::vector<float> ones(33, 1.0F);
  a[0] = 0x1p24F;
  a[16] = 1.0F;
  a[32] = -0x1p24F;
  EXPECT_EQ(scalar().dot(a.data(), ones.data(), 33), 0.0F);
  a[16] = 0.0F;
  a[17] = 1.0F;
  EXPECT_EQ(scalar().dot(a.data(), ones.data(), 33), 1.0F);
}

// The worst error of an activation over [low, high], relative to scale(x).
double worst(void (*activation)(const float*, const float*, float*, std::size_t),
             double (*exact)(double), double (*scale)(double x, double exact), float low,
             float high) {
  constexpr std::size_t kPoints = 200'001;
  std::vector<float> x(kPoints), y(kPoints);
  for (std::size_t i = 0; i < kPoints; ++i) {
    x[i] = low + (high - low) * static_cast<float>(i) / static_cast<float>(kPoints - 1);
  }
  activation(x.data(), nullptr, y.data(), kPoints);
  double result = 0;
  for (std::size_t i = 0; i < kPoints; ++i) {
    const double wanted = exact(x[i]);
    result = std::max(result, std::abs(y[i] - wanted) / scale(x[i], wanted));
  }
  return result;
}
double relative(double, double exact) {
  return std::abs(exact) + std::numeric_limits<float>::min();
}
double to_one_plus_x(double x, double) { return 1.0 + std::abs(x); }

double exact_silu(double x) { return x / (1.0 + std::exp(-x)); }
double exact_gelu(double x) { return 0.5 * x * std::erfc(-x * std::sqrt(0.5)); }
double exact_gelu_tanh(double x) {
  const double u = std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x);
  return x / (1.0 + std::exp(-2.0 * u));
}

// exp is 1.5 u, the addition and the division one u each where they round: at most 3.5 u, less
// where 1 outweighs e^-x.
TEST(Accuracy, Silu) {
  EXPECT_LT(worst(scalar().silu, exact_silu, relative, -80.0F, 80.0F), 3.5 * kU);
}

// Absolute, of 1 + |x|: in the middle a handful of roundings of values below x; in the tails the
// argument of exp has the rounding error u x^2 / 2 (u x^4 for the tanh form), against which e^(-x^2
// / 2) falls faster.
TEST(Accuracy, Gelu) {
  EXPECT_LT(worst(scalar().gelu, exact_gelu, to_one_plus_x, -15.0F, 15.0F), 2.0 * kU);
  // Relative, the tail keeps its digits but for that rounding: x^2 / 2 is 50 at 10.
  EXPECT_LT(worst(scalar().gelu, exact_gelu, relative, -10.0F, -0.01F), 60.0 * kU);
}
TEST(Accuracy, GeluTanh) {
  EXPECT_LT(worst(scalar().gelu_tanh, exact_gelu_tanh, to_one_plus_x, -15.0F, 15.0F), 3.0 * kU);
}

TEST(Accuracy, ActivationsAtTheirEnds) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float x[] = {infinity, nan, 1e30F, -1e30F, 0.0F};
  for (const auto activation : {scalar().silu, scalar().gelu, scalar().gelu_tanh, scalar().relu}) {
    float y[5];
    activation(x, nullptr, y, 5);
    EXPECT_EQ(y[0], infinity);
    EXPECT_TRUE(std::isnan(y[1]));
    EXPECT_EQ(y[2], 1e30F);
    EXPECT_EQ(y[3], 0.0F);
    EXPECT_EQ(y[4], 0.0F);
  }
}

// Each probability: exp 1.5 u and the error of x - max (u |x - max|), the sum's m u, the division's
// u.
TEST(Accuracy, Softmax) {
  for (const std::size_t n : {1, 16, 17, 1000}) {
    auto x = normal_numbers(n, 3, 5.0F);
    const auto input = x;
    const double top = *std::max_element(x.begin(), x.end());
    double total = 0;
    for (const float v : input) total += std::exp(v - top);
    scalar().softmax(x.data(), n);
    const double m = std::ceil(static_cast<double>(n) / 16.0) + 4.0;
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double exact = std::exp(input[i] - top) / total;
      EXPECT_LE(std::abs(x[i] - exact), exact * kU * (m + 2.5 + 2.0 * (top - input[i]) + 1.5));
      sum += x[i];
    }
    EXPECT_NEAR(sum, 1.0, (m + 2.0) * kU);
  }
}

TEST(Accuracy, SoftmaxOfLargeAndMaskedValues) {
  const float infinity = std::numeric_limits<float>::infinity();
  float large[] = {1e30F, 1e30F, -1e30F};
  scalar().softmax(large, 3);
  EXPECT_EQ(large[0], 0.5F);
  EXPECT_EQ(large[1], 0.5F);
  EXPECT_EQ(large[2], 0.0F);
  float masked[] = {-infinity, 2.0F, -infinity};
  scalar().softmax(masked, 3);
  EXPECT_EQ(masked[0], 0.0F);
  EXPECT_EQ(masked[1], 1.0F);
  float poisoned[20] = {};
  poisoned[19] = std::numeric_limits<float>::quiet_NaN();
  scalar().softmax(poisoned, 20);
  for (const float p : poisoned) EXPECT_TRUE(std::isnan(p));
}

// Half the dot product's error (square root), then sum, square root, quotient and two products:
// five roundings.
TEST(Accuracy, RmsNorm) {
  for (const std::size_t n : {1, 17, 1000}) {
    const auto x = normal_numbers(n, 4), weight = normal_numbers(n, 5);
    std::vector<float> y(n);
    scalar().rms_norm(x.data(), weight.data(), 1e-5F, y.data(), n);
    double squares = 0;
    for (const float v : x) squares += static_cast<double>(v) * v;
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(n) + 1e-5F);
    const double m = (std::ceil(static_cast<double>(n) / 16.0) + 4.0) / 2.0 + 6.0;
    for (std::size_t i = 0; i < n; ++i) {
      const double exact = x[i] * scale * weight[i];
      EXPECT_LE(std::abs(y[i] - exact), m * kU * std::abs(exact));
    }
  }
}

TEST(Accuracy, RopeTurnsPairsHalfAHeadApart) {
  const std::size_t head_dim = 8;
  float x[head_dim] = {1, 2, 3, 4, 5, 6, 7, 8};
  const float cosine[] = {1, 0, 0.5F, -1};
  const float sine[] = {0, 1, 0.25F, 0};
  scalar().rope(x, cosine, sine, head_dim);
  const float expected[head_dim] = {1, -6, 3 * 0.5F - 7 * 0.25F, -4,
                                    5, 2,  7 * 0.5F + 3 * 0.25F, -8};
  for (std::size_t i = 0; i < head_dim; ++i) EXPECT_EQ(x[i], expected[i]) << i;
}

}  // namespace
}  // namespace switchyard::kernels
