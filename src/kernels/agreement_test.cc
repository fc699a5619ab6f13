// Every set gives the bits of the scalar set, and a bit depends on the numbers alone: not on
// alignment, on how many rows are computed at once, or on where a range was cut.
#include <functional>
#include <gtest/gtest.h>
#include <limits>
#include <string>

#include "kernels/kernels.h"
#include "kernels/test_support.h"

namespace switchyard::kernels {
namespace {

constexpr float kUntouched = 12345.0F;

struct Product {
  std::size_t outputs, columns, n_rows;
  std::vector<float> x, weight;

  Product(std::size_t o, std::size_t i, std::size_t n)
      : outputs(o),
        columns(i),
        n_rows(n),
        x(normal_numbers(n * i, 1)),
        weight(normal_numbers(o * i, 2)) {}

  // Both inputs end at a guard page. y has one more column than W has rows, to see that it stays
  // untouched.
  std::vector<float> run(const KernelSet& set, DType type, std::size_t begin,
                         std::size_t end) const {
    const Guarded<float> x_guarded{std::span<const float>(x)};
    const Guarded<float> w_f32{std::span<const float>(weight)};
    const Guarded<Bf16> w_bf16{std::span<const Bf16>(narrowed(weight))};
    const void* data = w_f32.data();
    if (type != DType::f32) data = w_bf16.data();  // as f16 the bits are numbers too
    std::vector<float> y(n_rows * (outputs + 1), kUntouched);
    set.matmul({type, data, outputs, columns}, x_guarded.data(), columns, n_rows, begin, end,
               y.data(), outputs + 1);
    return y;
  }
};

constexpr DType kTypes[] = {DType::f32, DType::bf16, DType::f16};
const char* name_of(DType type) {
  return type == DType::f32 ? "f32" : type == DType::bf16 ? "bf16" : "f16";
}

TEST(MatmulAgreement, EverySetOverAGridOfShapes) {
  for (const std::size_t columns : {0, 1, 15, 16, 17, 31, 33, 511, 512, 513, 1040}) {
    for (const std::size_t outputs : {1, 3, 8, 21}) {
      for (const std::size_t n_rows : {0, 1, 2, 3, 4, 5, 6, 7, 13, 50}) {
        const Product product(outputs, columns, n_rows);
        for (const DType type : kTypes) {
          const auto expected = product.run(all().front(), type, 0, outputs);
          for (const KernelSet* set : vector_sets()) {
            ASSERT_EQ(first_difference(product.run(*set, type, 0, outputs), expected),
                      expected.size())
                << set->name << " " << name_of(type) << " O=" << outputs << " I=" << columns
                << " N=" << n_rows;
          }
        }
      }
    }
  }
}

TEST(MatmulAgreement, RowsAloneGiveWhatRowsTogetherGive) {
  const Product product(13, 530, 53);
  for (const KernelSet& set : all()) {
    if (!set.supported()) continue;
    for (const DType type : kTypes) {
      const auto together = product.run(set, type, 0, product.outputs);
      for (std::size_t n = 0; n < product.n_rows; ++n) {
        Product alone(product.outputs, product.columns, 1);
        alone.x.assign(product.x.begin() + static_cast<long>(n * product.columns),
                       product.x.begin() + static_cast<long>((n + 1) * product.columns));
        const auto y = alone.run(set, type, 0, product.outputs);
        ASSERT_EQ(first_difference(
                      y, std::span(together).subspan(n * (product.outputs + 1), product.outputs)),
                  product.outputs)
            << set.name << " " << name_of(type) << " row " << n;
      }
    }
  }
}

TEST(MatmulAgreement, RangesGiveWhatTheWholeGivesAndWriteNothingElse) {
  for (const std::size_t n_rows : {1, 4, 20}) {
    const Product product(37, 200, n_rows);
    for (const KernelSet& set : all()) {
      if (!set.supported()) continue;
      for (const DType type : kTypes) {
        const auto whole = product.run(set, type, 0, product.outputs);
        for (const auto& [begin, end] :
             {std::pair{0, 0}, {0, 1}, {1, 9}, {7, 24}, {30, 37}, {5, 5}}) {
          const auto part = product.run(set, type, static_cast<std::size_t>(begin),
                                        static_cast<std::size_t>(end));
          for (std::size_t i = 0; i < part.size(); ++i) {
            const auto o = static_cast<int>(i % (product.outputs + 1));
            const bool inside = o >= begin && o < end;
            ASSERT_TRUE(same_bits(part[i], inside ? whole[i] : kUntouched))
                << set.name << " [" << begin << ", " << end << ") at " << i;
          }
        }
      }
    }
  }
}

TEST(MatmulAgreement, StridesBeyondTheRow) {
  const std::size_t outputs = 9, columns = 70, n_rows = 15, stride = 101;
  const Product product(outputs, columns, n_rows);
  std::vector<float> spread(n_rows * stride, std::numeric_limits<float>::quiet_NaN());
  for (std::size_t n = 0; n < n_rows; ++n) {
    std::copy_n(product.x.begin() + static_cast<long>(n * columns), columns,
                spread.begin() + static_cast<long>(n * stride));
  }
  for (const KernelSet& set : all()) {
    if (!set.supported()) continue;
    const auto expected = product.run(set, DType::f32, 0, outputs);
    std::vector<float> y(expected.size(), kUntouched);
    set.matmul({DType::f32, product.weight.data(), outputs, columns}, spread.data(), stride, n_rows,
               0, outputs, y.data(), outputs + 1);
    EXPECT_EQ(first_difference(y, expected), expected.size()) << set.name;
  }
}

TEST(MatmulAgreement, DotIsOneOutput) {
  for (const std::size_t n : lengths()) {
    const Product product(1, n, 1);
    for (const KernelSet& set : all()) {
      if (!set.supported()) continue;
      const float expected = product.run(all().front(), DType::f32, 0, 1)[0];
      EXPECT_TRUE(same_bits(set.dot(product.x.data(), product.weight.data(), n), expected))
          << set.name << " " << n;
    }
  }
}

// Runs `use` with every set on its own copy of `input`, whose end is guarded, and compares what is
// left in it.
void expect_agreement(const std::vector<float>& input,
                      const std::function<void(const KernelSet&, float*)>& use,
                      const std::string& what) {
  Guarded<float> expected{std::span<const float>(input)};
  use(all().front(), expected.data());
  for (const KernelSet* set : vector_sets()) {
    Guarded<float> got{std::span<const float>(input)};
    use(*set, got.data());
    ASSERT_EQ(first_difference(got.copy(), expected.copy()), input.size())
        << set->name << " " << what;
  }
}

// Ordinary values, and the ones at which functions turn: zeros, subnormals, the ends of exp,
// infinities, NaN.
std::vector<float> interesting_numbers(std::size_t n) {
  std::vector<float> numbers = normal_numbers(n, 3, 4.0F);
  const float special[] = {0.0F,
                           -0.0F,
                           1e-40F,
                           -1e-40F,
                           88.0F,
                           -88.0F,
                           89.5F,
                           -89.5F,
                           104.0F,
                           -104.0F,
                           1e30F,
                           -1e30F,
                           std::numeric_limits<float>::infinity(),
                           -std::numeric_limits<float>::infinity(),
                           std::numeric_limits<float>::quiet_NaN(),
                           std::numeric_limits<float>::max()};
  for (std::size_t i = 0; i < std::size(special) && 3 * i + 1 < n; ++i)
    numbers[3 * i + 1] = special[i];
  return numbers;
}

TEST(VectorAgreement, Activations) {
  using Activation = void (*KernelSet::*)(const float*, const float*, float*, std::size_t);
  const std::pair<const char*, Activation> activations[] = {{"silu", &KernelSet::silu},
                                                            {"gelu", &KernelSet::gelu},
                                                            {"gelu_tanh", &KernelSet::gelu_tanh},
                                                            {"relu", &KernelSet::relu}};
  for (const auto& entry : activations) {
    const char* const name = entry.first;
    const Activation activation = entry.second;
    for (const std::size_t n : lengths()) {
      const auto gate = interesting_numbers(n);
      const Guarded<float> up{std::span<const float>(normal_numbers(n, 4))};
      const Guarded<float> apart{std::span<const float>(gate)};
      const std::string what = std::string(name) + " " + std::to_string(n);
      expect_agreement(
          gate, [&](const KernelSet& set, float* x) { (set.*activation)(x, nullptr, x, n); }, what);
      expect_agreement(
          gate, [&](const KernelSet& set, float* x) { (set.*activation)(x, up.data(), x, n); },
          what);
      expect_agreement(
          gate,
          [&](const KernelSet& set, float* x) { (set.*activation)(apart.data(), up.data(), x, n); },
          what);
    }
  }
}

TEST(VectorAgreement, SoftmaxWithAndWithoutMaskedElements) {
  for (const std::size_t n : lengths()) {
    auto x = normal_numbers(n, 5, 10.0F);
    const auto softmax = [&](const KernelSet& set, float* data) { set.softmax(data, n); };
    expect_agreement(x, softmax, std::to_string(n));
    for (std::size_t i = 1; i < n; i += 3) x[i] = -std::numeric_limits<float>::infinity();
    expect_agreement(x, softmax, "masked " + std::to_string(n));
    if (n > 0) x[n - 1] = std::numeric_limits<float>::quiet_NaN();
    expect_agreement(x, softmax, "nan " + std::to_string(n));
  }
}

TEST(VectorAgreement, RmsNormInPlaceAndApart) {
  for (const std::size_t n : lengths()) {
    const auto x = normal_numbers(n, 6);
    const Guarded<float> input{std::span<const float>(x)};
    const Guarded<float> weight{std::span<const float>(normal_numbers(n, 7))};
    expect_agreement(
        x, [&](const KernelSet& set, float* y) { set.rms_norm(y, weight.data(), 1e-5F, y, n); },
        std::to_string(n));
    expect_agreement(
        x,
        [&](const KernelSet& set, float* y) {
          set.rms_norm(input.data(), weight.data(), 1e-5F, y, n);
        },
        std::to_string(n));
  }
}

TEST(VectorAgreement, AxpyAndWiden) {
  for (const std::size_t n : lengths()) {
    const Guarded<float> x{std::span<const float>(normal_numbers(n, 8))};
    const Guarded<Bf16> narrow{std::span<const Bf16>(narrowed(normal_numbers(n, 9)))};
    const auto y = normal_numbers(n, 10);
    expect_agreement(
        y, [&](const KernelSet& set, float* out) { set.axpy(0.3F, x.data(), out, n); },
        std::to_string(n));
    expect_agreement(
        y, [&](const KernelSet& set, float* out) { set.widen(narrow.data(), out, n); },
        std::to_string(n));
  }
}

TEST(VectorAgreement, Rope) {
  for (const std::size_t head_dim : {0, 2, 16, 30, 32, 34, 64, 80, 128}) {
    const Guarded<float> cosine{std::span<const float>(normal_numbers(head_dim / 2, 11))};
    const Guarded<float> sine{std::span<const float>(normal_numbers(head_dim / 2, 12))};
    expect_agreement(
        normal_numbers(head_dim, 13),
        [&](const KernelSet& set, float* x) { set.rope(x, cosine.data(), sine.data(), head_dim); },
        std::to_string(head_dim));
  }
}

TEST(VectorAgreement, NanAndInfinityReachTheSameOutputs) {
  Product product(5, 40, 8);
  product.x[3 * 40 + 17] = std::numeric_limits<float>::quiet_NaN();
  product.x[5 * 40 + 39] = std::numeric_limits<float>::infinity();
  for (const KernelSet& set : all()) {
    if (!set.supported()) continue;
    const auto y = product.run(set, DType::f32, 0, 5);
    for (std::size_t n = 0; n < 8; ++n) {
      for (std::size_t o = 0; o < 5; ++o) {
        const float value = y[n * 6 + o];
        EXPECT_EQ(std::isnan(value), n == 3) << set.name;
        EXPECT_EQ(std::isinf(value), n == 5) << set.name;
      }
    }
  }
}

}  // namespace
}  // namespace switchyard::kernels
