// Products with quantised weights: what they mean (against double), that every set gives the same
// bits, and that nothing but the row and the weights decides them.
#include "kernels/quantised.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <limits>
#include <span>

#include "kernels/kernels.h"
#include "kernels/quantised_test_support.h"

namespace switchyard::kernels {
namespace {

constexpr float kUntouched = 12345.0F;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
const KernelSet& scalar() { return all().front(); }

std::vector<Line> rounded(const KernelSet& set, std::span<const float> x, std::size_t columns) {
  const std::size_t row_bytes = q8_row_bytes(columns);
  const std::size_t n_rows = columns == 0 ? 0 : x.size() / columns;
  std::vector<Line> rows(n_rows * row_bytes / sizeof(Line));
  const Guarded<float> guarded{x};
  for (std::size_t n = 0; n < n_rows; ++n) {
    set.to_q8(guarded.data() + n * columns, columns,
              reinterpret_cast<std::byte*>(rows.data()) + n * row_bytes);
  }
  return rows;
}

struct QuantisedProduct {
  QuantisedType type;
  std::size_t outputs, columns, n_rows;
  std::vector<float> x;
  std::vector<std::uint8_t> weight;

  QuantisedProduct(const QuantisedType& t, std::size_t o, std::size_t i, std::size_t n,
                   unsigned seed = 1, bool tame = true)
      : type(t),
        outputs(o),
        columns(i),
        n_rows(n),
        x(normal_numbers(n * i, seed)),
        weight(random_weights(t, o * i, seed + 1, tame)) {}

  // Weights and rounded rows end at a guard page: behind the last byte nothing may be read.
  std::vector<float> run(const KernelSet& set, std::size_t begin, std::size_t end) const {
    const Guarded<std::uint8_t> w{std::span<const std::uint8_t>(weight)};
    const auto lines = rounded(set, x, columns);
    const Guarded<Line> rows{std::span<const Line>(lines)};
    std::vector<float> y(n_rows * (outputs + 1), kUntouched);
    set.matmul_q8({type.type, w.data(), outputs, columns},
                  reinterpret_cast<const std::byte*>(rows.data()), n_rows, begin, end, y.data(),
                  outputs + 1);
    return y;
  }
  std::string name() const {
    return std::string(type.name) + " O=" + std::to_string(outputs) +
           " I=" + std::to_string(columns) + " N=" + std::to_string(n_rows);
  }
};

TEST(ToQ8, RoundsToNearestEvenOfTheLargestMagnitude) {
  std::vector<float> x(64, 0.0F);
  x[0] = -254.0F;  // factor 0.5
  x[1] = 1.0F;     // 0.5: a tie, to 0
  x[2] = 3.0F;     // 1.5: to 2
  x[3] = -5.0F;    // -2.5: to -2
  x[17] = 200.0F;
  const auto rows = rounded(scalar(), x, x.size());
  const auto* blocks = reinterpret_cast<const Q8Block*>(rows.data());
  EXPECT_EQ(blocks[0].q[0], -127);
  EXPECT_EQ(blocks[0].q[1], 0);
  EXPECT_EQ(blocks[0].q[2], 2);
  EXPECT_EQ(blocks[0].q[3], -2);
  EXPECT_EQ(blocks[0].q[17], 100);
  EXPECT_EQ(blocks[0].scale, 2.0F);
  EXPECT_EQ(blocks[0].half_sums[0], -127);
  EXPECT_EQ(blocks[0].half_sums[1], 100);
  EXPECT_EQ(blocks[0].sum, -27);
  EXPECT_EQ(blocks[0].scaled_sum, -54.0F);
  EXPECT_EQ(blocks[0].scaled_half_sums[0], -254.0F);
  EXPECT_EQ(blocks[0].scaled_half_sums[1], 200.0F);
  EXPECT_EQ(blocks[1].scale, 0.0F);
  EXPECT_EQ(blocks[1].sum, 0);
}

TEST(ToQ8, StaysWithinHalfAStep) {
  auto x = normal_numbers(32 * 300, 2);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = std::ldexp(x[i], static_cast<int>(i / 32 % 230) - 115);
  const auto rows = rounded(scalar(), x, x.size());
  const auto* blocks = reinterpret_cast<const Q8Block*>(rows.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Q8Block& block = blocks[i / 32];
    const double scale = block.scale;
    ASSERT_LE(std::abs(x[i] - scale * block.q[i % 32]), (0.5 + 0x1p-15) * scale) << i;
    ASSERT_LE(std::abs(block.q[i % 32]), 127);
  }
}

TEST(ToQ8, WhatIsNoNumberAndWhatIsTooSmall) {
  std::vector<float> x(5 * 32, 1.0F);
  x[3] = kNan;
  x[32 + 31] = kInfinity;
  x[64] = -kInfinity;
  for (std::size_t i = 96; i < 128; ++i) x[i] = 0x1p-120F;
  for (std::size_t i = 128; i < 160; ++i) x[i] = std::numeric_limits<float>::max();
  const auto rows = rounded(scalar(), x, x.size());
  const auto* blocks = reinterpret_cast<const Q8Block*>(rows.data());
  for (int b = 0; b < 3; ++b) {
    EXPECT_TRUE(std::isnan(blocks[b].scale));
    EXPECT_TRUE(std::isnan(blocks[b].scaled_sum));
    EXPECT_TRUE(std::isnan(blocks[b].scaled_half_sums[0]));
  }
  EXPECT_EQ(blocks[3].scale, 0.0F);
  EXPECT_EQ(blocks[4].q[5], 127);
}

TEST(ToQ8, EverySetGivesTheSameBytes) {
  auto x = normal_numbers(40 * 32, 3);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = std::ldexp(x[i], static_cast<int>(i / 32 * 8) - 160);
  for (std::size_t i = 0; i < 32; ++i) x[i + 96] = static_cast<float>(i) * 0.5F - 7.75F;
  x[200] = kNan;
  x[300] = kInfinity;
  const auto expected = rounded(scalar(), x, x.size());
  for (const KernelSet* set : vector_sets()) {
    const auto rows = rounded(*set, x, x.size());
    EXPECT_EQ(std::memcmp(rows.data(), expected.data(), rows.size() * sizeof(Line)), 0)
        << set->name;
  }
}

// |y - sum of x w| is at most: half a step of x for each weight, the roundings of the running sum
// (one a term, 1 + minima terms a block, on what has been added so far), and four for the scales
// and their products in each term.
TEST(QuantisedProducts, AgainstDouble) {
  constexpr double kU = 0x1p-24;
  for (const QuantisedType& type : quantised_types()) {
    const QuantisedProduct p(type, 5, 768, 3, 7);
    const auto y = p.run(scalar(), 0, p.outputs);
    const std::size_t row_bytes = p.weight.size() / p.outputs;
    for (std::size_t n = 0; n < p.n_rows; ++n) {
      for (std::size_t o = 0; o < p.outputs; ++o) {
        double exact = 0, step = 0, absolute = 0;
        for (std::size_t i = 0; i < p.columns; ++i) {
          const float* x = p.x.data() + n * p.columns;
          double largest = 0;
          for (std::size_t k = i / 32 * 32; k < i / 32 * 32 + 32; ++k)
            largest = std::max(largest, std::abs(static_cast<double>(x[k])));
          const double scale = largest / 127;
          const Value w = decoded(type.type, p.weight.data() + o * row_bytes, i);
          exact += x[i] * (w.product + w.minimum);
          step += (0.5 + 0x1p-14) * scale * std::abs(w.product + w.minimum);
          absolute += (std::abs(x[i]) + scale) * (std::abs(w.product) + std::abs(w.minimum));
        }
        const double roundings = 3.0 * static_cast<double>(p.columns) / 32 + 4;
        EXPECT_LE(std::abs(y[n * (p.outputs + 1) + o] - exact), step + roundings * kU * absolute)
            << p.name() << " row " << n << " output " << o;
      }
    }
  }
}

// Exactly: rows of x that 8 bits hold, one column at a time, give back each weight.
TEST(QuantisedProducts, OneColumnGivesTheWeight) {
  for (const QuantisedType& type : quantised_types()) {
    for (const KernelSet& set : all()) {
      if (!set.supported()) continue;
      QuantisedProduct p(type, 3, 256, 256, 11);
      std::fill(p.x.begin(), p.x.end(), 0.0F);
      for (std::size_t n = 0; n < 256; ++n) p.x[n * 256 + n] = 127.0F;
      const auto y = p.run(set, 0, 3);
      const std::size_t row_bytes = p.weight.size() / 3;
      for (std::size_t n = 0; n < 256; ++n) {
        for (std::size_t o = 0; o < 3; ++o) {
          const Value w = decoded(type.type, p.weight.data() + o * row_bytes, n);
          // Without a minimum there is one product and no addition: one rounding.
          const double exact = 127 * (w.product + w.minimum);
          const double bound = 127 * (std::abs(w.product) + std::abs(w.minimum)) *
                               (w.minimum == 0 ? 1 : 2) * 0x1p-24;
          ASSERT_NEAR(y[n * 4 + o], exact, bound) << p.name() << " " << set.name << " column " << n;
        }
      }
    }
  }
}

TEST(QuantisedAgreement, EverySetOverAGridOfShapes) {
  for (const QuantisedType& type : quantised_types()) {
    const std::size_t block = type.block_values;
    for (const std::size_t blocks : {0, 1, 2, 3, 7, 8, 9, 16, 17, 25}) {
      if (block == 256 && blocks > 9) continue;
      for (const std::size_t outputs : {1, 8, 15, 16, 17, 40}) {
        for (const std::size_t n_rows : {0, 1, 2, 3, 4, 7, 13}) {
          const QuantisedProduct p(type, outputs, blocks * block, n_rows);
          const auto expected = p.run(scalar(), 0, outputs);
          for (const KernelSet* set : vector_sets()) {
            ASSERT_EQ(first_difference(p.run(*set, 0, outputs), expected), expected.size())
                << set->name << " " << p.name();
          }
        }
      }
    }
  }
}

TEST(QuantisedAgreement, AnyBytesWithFiniteScales) {
  for (const QuantisedType& type : quantised_types()) {
    for (unsigned seed = 0; seed < 30; ++seed) {
      const std::size_t n_rows = seed % 3 == 0 ? 1 : 4;
      const QuantisedProduct p(type, 18, 512, n_rows, 100 + seed, false);
      const auto expected = p.run(scalar(), 0, p.outputs);
      for (const KernelSet* set : vector_sets()) {
        ASSERT_EQ(first_difference(p.run(*set, 0, p.outputs), expected), expected.size())
            << set->name << " " << p.name() << " seed " << seed;
      }
    }
  }
}

TEST(QuantisedAgreement, RowsAloneGiveWhatRowsTogetherGive) {
  for (const QuantisedType& type : quantised_types()) {
    const QuantisedProduct p(type, 37, 768, 15);
    for (const KernelSet& set : all()) {
      if (!set.supported()) continue;
      const auto together = p.run(set, 0, p.outputs);
      for (std::size_t n = 0; n < p.n_rows; ++n) {
        QuantisedProduct alone = p;
        alone.n_rows = 1;
        alone.x.assign(p.x.begin() + static_cast<long>(n * p.columns),
                       p.x.begin() + static_cast<long>((n + 1) * p.columns));
        const auto y = alone.run(set, 0, p.outputs);
        ASSERT_EQ(first_difference(y, std::span(together).subspan(n * (p.outputs + 1), p.outputs)),
                  p.outputs)
            << set.name << " " << p.name() << " row " << n;
      }
    }
  }
}

TEST(QuantisedAgreement, RangesGiveWhatTheWholeGivesAndWriteNothingElse) {
  for (const QuantisedType& type : quantised_types()) {
    for (const std::size_t n_rows : {1, 9}) {
      const QuantisedProduct p(type, 50, 256, n_rows);
      const auto whole = p.run(scalar(), 0, p.outputs);
      for (const KernelSet* set : vector_sets()) {
        for (const auto& [begin, end] :
             {std::pair{0, 0}, {0, 1}, {1, 9}, {7, 24}, {3, 50}, {5, 5}, {34, 50}}) {
          const auto part =
              p.run(*set, static_cast<std::size_t>(begin), static_cast<std::size_t>(end));
          for (std::size_t i = 0; i < part.size(); ++i) {
            const auto o = static_cast<int>(i % (p.outputs + 1));
            ASSERT_TRUE(same_bits(part[i], o >= begin && o < end ? whole[i] : kUntouched))
                << set->name << " " << p.name() << " [" << begin << ", " << end << ") at " << i;
          }
        }
      }
    }
  }
}

TEST(QuantisedAgreement, WhatIsNoNumberReachesTheOutputsThatDependOnIt) {
  for (const QuantisedType& type : quantised_types()) {
    if (type.halves.empty()) continue;  // a scale of MXFP4 is always a number
    for (const std::size_t n_rows : {1, 8}) {
      QuantisedProduct p(type, 20, 512, n_rows);
      const std::size_t row_bytes = p.weight.size() / p.outputs;
      const std::size_t last = row_bytes - type.block_bytes;
      p.weight[17 * row_bytes + last + type.halves[0] + 1] = 0x7e;
      if (n_rows > 3) p.x[3 * 512 + 40] = kInfinity;
      for (const KernelSet& set : all()) {
        if (!set.supported()) continue;
        const auto y = p.run(set, 0, p.outputs);
        for (std::size_t n = 0; n < n_rows; ++n) {
          for (std::size_t o = 0; o < p.outputs; ++o) {
            ASSERT_EQ(std::isnan(y[n * 21 + o]), o == 17 || n == 3)
                << set.name << " " << p.name() << " " << n << " " << o;
          }
        }
      }
    }
  }
}

TEST(QuantisedWeights, KindsOfTypes) {
  EXPECT_TRUE(is_plain_weight(DType::f32));
  EXPECT_TRUE(is_plain_weight(DType::f16));
  EXPECT_TRUE(is_plain_weight(DType::bf16));
  EXPECT_FALSE(is_plain_weight(DType::q4_0));
  EXPECT_FALSE(is_plain_weight(DType::i8));
  EXPECT_FALSE(is_quantised_weight(DType::f16));
  for (const QuantisedType& type : quantised_types()) EXPECT_TRUE(is_quantised_weight(type.type));
  EXPECT_EQ(q8_row_bytes(0), 0U);
  EXPECT_EQ(q8_row_bytes(2048) % 64, 0U);
}

// Every value of half precision, through the plain product with x = 1.
TEST(HalfWeights, EveryValueIsExactInEverySet) {
  std::vector<std::uint16_t> values(65536);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint16_t>(i);
  const float one = 1.0F;
  for (const KernelSet& set : all()) {
    if (!set.supported()) continue;
    std::vector<float> y(values.size());
    set.matmul({DType::f16, values.data(), values.size(), 1}, &one, 1, 1, 0, values.size(),
               y.data(), values.size());
    // 20 columns, one of them 1: whole vectors take another way than their ends. Finite ones only,
    // as zero times infinity is no number.
    std::vector<float> x(20), z(0x7c00 / 20);
    x[5] = 1.0F;
    set.matmul({DType::f16, values.data(), z.size(), 20}, x.data(), 20, 1, 0, z.size(), z.data(),
               z.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double exact = half_value(values[i]);
      if (std::isnan(exact)) {
        ASSERT_TRUE(std::isnan(y[i]));
      } else {
        ASSERT_EQ(y[i], static_cast<float>(exact)) << set.name << " " << i;
      }
    }
    for (std::size_t o = 0; o < z.size(); ++o)
      ASSERT_EQ(z[o], static_cast<float>(half_value(values[o * 20 + 5]))) << set.name;
  }
}

}  // namespace
}  // namespace switchyard::kernels
