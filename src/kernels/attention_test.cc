// Attention in blocks against plain softmax attention in double, and against itself: no choice of
// instruction set, rows at once or cuts changes a bit.
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <string>

#include "base/aligned_buffer.h"
#include "kernels/kernels.h"
#include "kernels/test_support.h"

namespace switchyard::kernels {
namespace {

constexpr DType kTypes[] = {DType::f32, DType::f16, DType::bf16, DType::q8_0};
std::string name_of(DType type) {
  return type == DType::f32    ? "f32"
         : type == DType::f16  ? "f16"
         : type == DType::bf16 ? "bf16"
                               : "q8_0";
}
// Segments as a caller may cut them: at multiples of the block.
using Cuts = std::vector<std::size_t>;

struct Shape {
  std::size_t key_width, value_width, positions;
  bool latent = false;
};

// A cache of random keys and values, exactly as large as attention.h says, at a guard page.
struct Cached {
  Cached(const KernelSet& set, Shape s, DType key_type, DType value_type)
      : shape(s),
        keys(s.latent ? 0 : cached_keys_bytes(key_type, s.key_width, s.positions)),
        values(
            cached_values_bytes(value_type, s.latent ? s.key_width : s.value_width, s.positions)) {
    std::fill_n(keys.data(), keys.size(), std::byte{0x7f});  // NaN or large where nothing is put
    std::fill_n(values.data(), values.size(), std::byte{0x7f});
    const std::size_t row = s.latent ? s.key_width : s.value_width;
    const auto key = normal_numbers(s.positions * s.key_width, 1);
    const auto value = normal_numbers(s.positions * row, 2);
    for (std::size_t p = 0; p < s.positions; ++p) {
      if (!s.latent) {
        set.cache_key(key_type, key.data() + p * s.key_width, s.key_width, p, keys.data());
      }
      set.cache_value(value_type, value.data() + p * row, row, p, values.data());
    }
    cache = {.key_type = key_type,
             .value_type = value_type,
             .keys = s.latent ? nullptr : keys.data(),
             .values = values.data(),
             .key_width = s.key_width,
             .value_width = s.value_width};
  }
  Shape shape;
  Guarded<std::byte> keys, values;
  AttentionCache cache;
};

struct Query {
  std::size_t first, end;
};

// Results of all queries: `at_once` of them in one call, positions cut at `cuts`.
std::vector<float> attend_all(const KernelSet& set, const Cached& c,
                              const std::vector<Query>& queries, std::size_t at_once,
                              const Cuts& cuts, const float* sink = nullptr) {
  const auto q = normal_numbers(queries.size() * c.shape.key_width, 3);
  const std::size_t floats = attention_state_floats(c.shape.value_width);
  AlignedBuffer states(2 * queries.size() * floats * sizeof(float));
  AlignedBuffer memory(attention_memory_floats(c.shape.key_width, c.shape.value_width) *
                       sizeof(float));
  std::vector<float> out(queries.size() * c.shape.value_width);
  for (std::size_t at = 0; at < queries.size(); at += at_once) {
    const std::size_t n = std::min(at_once, queries.size() - at);
    std::vector<AttentionRow> rows;
    for (std::size_t r = 0; r < n; ++r) {
      const auto state = states.as<float>(2 * r * floats * sizeof(float), floats);
      rows.push_back({q.data() + (at + r) * c.shape.key_width, queries[at + r].first,
                      queries[at + r].end, state.data()});
      attention_clear(state.data() + floats, c.shape.value_width);
    }
    std::size_t begin = 0;
    for (const std::size_t end : cuts) {
      for (const AttentionRow& row : rows) attention_clear(row.state, c.shape.value_width);
      set.attend(c.cache, rows.data(), n, begin, end, 0.25F,
                 memory.as<float>(0, memory.size() / sizeof(float)).data());
      for (const AttentionRow& row : rows) {
        set.merge_attention(row.state, row.state + floats, c.shape.value_width);
      }
      begin = end;
    }
    for (std::size_t r = 0; r < n; ++r) {
      set.finish_attention(rows[r].state + floats, sink, c.shape.value_width,
                           out.data() + (at + r) * c.shape.value_width);
    }
  }
  return out;
}

// Causal, causal with a window, and a row that sees one position.
std::vector<Query> mixed_queries(std::size_t positions) {
  std::vector<Query> queries;
  for (std::size_t i = 0; i < 9; ++i) {
    const std::size_t end = positions - std::min(positions - 1, 8 - i);
    queries.push_back({0, end});
    queries.push_back({end > 21 ? end - 21 : 0, end});
  }
  queries.push_back({positions - 1, positions});
  return queries;
}

const Shape kShapes[] = {
    {32, 32, 1},   {64, 64, 63},         {64, 32, 64},        {128, 128, 65},
    {96, 96, 200}, {160, 128, 77, true}, {64, 32, 130, true},
};
// Of plain types only: no whole blocks.
const Shape kOddShapes[] = {{8, 8, 70}, {20, 12, 33}, {80, 72, 129}, {28, 20, 100, true}};

std::string describe(const KernelSet& set, const Shape& s, DType k, DType v) {
  return std::string(set.name) + " " + name_of(k) + "/" + name_of(v) + " " +
         std::to_string(s.key_width) + "x" + std::to_string(s.value_width) + " over " +
         std::to_string(s.positions);
}

void expect_same_in_all_sets(const Shape& shape, DType k, DType v) {
  const auto queries = mixed_queries(shape.positions);
  const Cached reference(all().front(), shape, k, v);
  const Cuts whole = {shape.positions};
  const auto expected = attend_all(all().front(), reference, queries, 1, whole);
  for (const KernelSet& set : all()) {
    if (!set.supported()) continue;
    SCOPED_TRACE(describe(set, shape, k, v));
    const Cached cached(set, shape, k, v);
    EXPECT_EQ(cached.keys.copy(), reference.keys.copy());
    EXPECT_EQ(cached.values.copy(), reference.values.copy());
    for (const std::size_t at_once : {1, 2, 5, 6, 7, 19}) {
      const auto actual = attend_all(set, cached, queries, at_once, whole);
      ASSERT_EQ(first_difference(actual, expected), expected.size()) << at_once << " at once";
    }
  }
}

TEST(Attention, EverySetAndAnyNumberOfRowsGivesTheSameBits) {
  for (const Shape& shape : kShapes) {
    for (const DType type : kTypes) expect_same_in_all_sets(shape, type, type);
  }
  for (const Shape& shape : kOddShapes) {
    for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
      expect_same_in_all_sets(shape, type, type);
    }
  }
  expect_same_in_all_sets(kShapes[4], DType::q8_0, DType::f16);
  expect_same_in_all_sets(kShapes[4], DType::f32, DType::q8_0);
}

// A row that starts where others do not reach must not see them.
TEST(Attention, RowsOfDifferentRangesDoNotTouchEachOther) {
  const Shape shape{64, 64, 190};
  const std::vector<Query> queries = {{0, 3},  {100, 120}, {0, 190},  {64, 128},
                                      {3, 64}, {63, 65},   {189, 190}};
  for (const KernelSet& set : all()) {
    if (!set.supported()) continue;
    const Cached cached(set, shape, DType::f32, DType::f32);
    EXPECT_EQ(attend_all(set, cached, queries, 7, {190}),
              attend_all(set, cached, queries, 1, {190}))
        << set.name;
  }
}

// Bounds of plain attention in double over the values as they are cached: of a score
// (key_width + 2) u sum |q k|, of a weight that error and 4 u of exp, of the sum the number of
// positions in u; u = 2^-24.
void expect_near_plain_softmax(const Shape& shape, DType k, DType v, const float* sink) {
  const KernelSet& set = best();
  const Cached cached(set, shape, k, v);
  const auto queries = mixed_queries(shape.positions);
  const auto q = normal_numbers(queries.size() * shape.key_width, 3);
  // What is cached, read back: a row that sees one position gets its value.
  const auto row_of = [&](DType type, std::size_t width, std::vector<float> numbers) {
    const std::size_t bytes = cached_values_bytes(type, width, shape.positions);
    std::vector<std::byte> values(bytes);
    const auto zeros = std::vector<float>(32 * shape.positions);
    std::vector<std::byte> keys(cached_keys_bytes(DType::f32, 32, shape.positions));
    const std::size_t floats = attention_state_floats(width);
    AlignedBuffer state(floats * sizeof(float));
    AlignedBuffer memory(attention_memory_floats(32, width) * sizeof(float));
    for (std::size_t p = 0; p < shape.positions; ++p) {
      set.cache_value(type, numbers.data() + p * width, width, p, values.data());
      set.cache_key(DType::f32, zeros.data(), 32, p, keys.data());
    }
    for (std::size_t p = 0; p < shape.positions; ++p) {
      AttentionRow row{zeros.data(), p, p + 1, state.as<float>(0, floats).data()};
      attention_clear(row.state, width);
      set.attend({DType::f32, type, keys.data(), values.data(), 32, width}, &row, 1,
                 p / kAttentionBlock * kAttentionBlock, p + 1, 1.0F, memory.as<float>(0, 0).data());
      set.finish_attention(row.state, nullptr, width, numbers.data() + p * width);
    }
    return numbers;
  };
  const std::size_t row_width = shape.latent ? shape.key_width : shape.value_width;
  const auto values = row_of(v, row_width, normal_numbers(shape.positions * row_width, 2));
  const auto keys = shape.latent ? values
                                 : row_of(k, shape.key_width,
                                          normal_numbers(shape.positions * shape.key_width, 1));
  const Cuts cuts = shape.positions > 64 ? Cuts{64, shape.positions} : Cuts{shape.positions};
  const auto actual = attend_all(set, cached, queries, 5, cuts, sink);
  const double u = 0x1p-24;
  for (std::size_t n = 0; n < queries.size(); ++n) {
    std::vector<double> weights;
    double sum = sink == nullptr ? 0 : std::exp(static_cast<double>(*sink)), worst = 0;
    for (std::size_t p = queries[n].first; p < queries[n].end; ++p) {
      double dot = 0, magnitude = 0;
      for (std::size_t d = 0; d < shape.key_width; ++d) {
        const double x =
            static_cast<double>(q[n * shape.key_width + d]) * keys[p * shape.key_width + d];
        dot += x;
        magnitude += std::abs(x);
      }
      weights.push_back(std::exp(0.25 * dot));
      sum += weights.back();
      worst = std::max(worst, 0.25 * magnitude);
    }
    const double relative = 2 * (static_cast<double>(shape.key_width) + 2) * u * worst +
                            (static_cast<double>(weights.size()) + 16) * u;
    for (std::size_t d = 0; d < shape.value_width; ++d) {
      double exact = 0, magnitude = 0;
      for (std::size_t i = 0; i < weights.size(); ++i) {
        const double x = weights[i] / sum * values[(queries[n].first + i) * row_width + d];
        exact += x;
        magnitude += std::abs(x);
      }
      ASSERT_NEAR(actual[n * shape.value_width + d], exact, relative * magnitude + 1e-30)
          << describe(set, shape, k, v) << " query " << n;
    }
  }
}

TEST(Attention, IsPlainSoftmaxAttentionOverWhatIsCached) {
  for (const Shape& shape : kShapes) {
    for (const DType type : kTypes) expect_near_plain_softmax(shape, type, type, nullptr);
  }
  for (const Shape& shape : kOddShapes) {
    expect_near_plain_softmax(shape, DType::f32, DType::f32, nullptr);
  }
}

TEST(Attention, ASinkTakesItsShareAndGivesNothing) {
  for (const float sink : {-3.0F, 0.5F, 30.0F}) {
    expect_near_plain_softmax(kShapes[3], DType::f32, DType::f32, &sink);
  }
}

// Scores that leave the range of exp unless the largest is subtracted, the largest last and first.
TEST(Attention, LargeScoresDoNotOverflow) {
  const KernelSet& set = best();
  for (const float step : {1.0F, -1.0F}) {
    constexpr std::size_t kPositions = 300;
    std::vector<std::byte> keys(cached_keys_bytes(DType::f32, 1, kPositions));
    std::vector<std::byte> values(cached_values_bytes(DType::f32, 1, kPositions));
    for (std::size_t p = 0; p < kPositions; ++p) {
      const float key = step * 1000.0F * static_cast<float>(p), value = static_cast<float>(p);
      set.cache_key(DType::f32, &key, 1, p, keys.data());
      set.cache_value(DType::f32, &value, 1, p, values.data());
    }
    const float one = 1.0F;
    const std::size_t floats = attention_state_floats(1);
    AlignedBuffer state(floats * sizeof(float));
    AttentionRow row{&one, 0, kPositions, state.as<float>(0, floats).data()};
    attention_clear(row.state, 1);
    set.attend({DType::f32, DType::f32, keys.data(), values.data(), 1, 1}, &row, 1, 0, kPositions,
               1.0F, nullptr);
    float out = 0;
    set.finish_attention(row.state, nullptr, 1, &out);
    EXPECT_EQ(out, step > 0 ? 299.0F : 0.0F);
  }
}

TEST(Attention, NanReachesTheRowsThatSeeItAndNoOther) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const KernelSet& set : all()) {
    if (!set.supported()) continue;
    for (const DType type : kTypes) {
      for (const bool in_key : {true, false}) {
        Cached cached(set, {32, 32, 100}, type, type);
        std::vector<float> row(32, 1.0F);
        row[7] = nan;
        if (in_key) {
          set.cache_key(type, row.data(), 32, 70, cached.keys.data());
        } else {
          set.cache_value(type, row.data(), 32, 70, cached.values.data());
        }
        const auto out = attend_all(set, cached, {{0, 70}, {0, 71}, {71, 100}, {0, 100}}, 4, {100});
        for (const std::size_t n : {0U, 1U, 2U, 3U}) {
          EXPECT_EQ(std::isnan(out[n * 32 + 7]), n == 1 || n == 3)
              << set.name << " " << name_of(type) << " " << n;
        }
      }
    }
  }
}

// Merged in order, parts are the whole but for rounding; a part that saw nothing changes no bit.
TEST(Attention, PartsMergeToTheWhole) {
  const Shape shape{64, 64, 320};
  const KernelSet& set = best();
  const Cached cached(set, shape, DType::f32, DType::f32);
  const std::vector<Query> queries = {{0, 320}, {250, 320}, {0, 60}};
  const auto whole = attend_all(set, cached, queries, 3, {320});
  const auto parts = attend_all(set, cached, queries, 3, {64, 128, 320});
  for (std::size_t i = 0; i < whole.size(); ++i) ASSERT_NEAR(parts[i], whole[i], 1e-5) << i;
  const auto last_row = std::span(whole).subspan(2 * 64);
  EXPECT_EQ(first_difference(std::span(parts).subspan(2 * 64), last_row), last_row.size());
}

TEST(CacheTypes, HalfPrecisionIsRoundedToNearestEven) {
  const float inputs[] = {1.0F,         0x1.002p0F,   0x1.006p0F, 65519.0F,  65520.0F, -0.0F,
                          0x1p-24F,     0x1p-25F,     0x1.8p-24F, 0x1p-14F,  1e30F,    0x1.ff8p-15F,
                          0x1.ffcp-15F, 0x1.fffp-15F, -3.0F,      0x1.1p-25F};
  const std::uint16_t expected[] = {0x3c00, 0x3c00, 0x3c02, 0x7bff, 0x7c00, 0x8000, 0x0001, 0x0000,
                                    0x0002, 0x0400, 0x7c00, 0x03ff, 0x0400, 0x0400, 0xc200, 0x0001};
  for (const KernelSet& set : all()) {
    if (!set.supported()) continue;
    std::uint16_t out[16];
    set.cache_value(DType::f16, inputs, 16, 0, reinterpret_cast<std::byte*>(out));
    for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(out[i], expected[i]) << set.name << " " << i;
  }
}

TEST(CacheTypes, Bf16IsRoundedAsEverywhere) {
  const auto x = normal_numbers(1000, 4);
  for (const KernelSet& set : all()) {
    if (!set.supported()) continue;
    std::vector<Bf16> out(x.size());
    set.cache_value(DType::bf16, x.data(), x.size(), 0, reinterpret_cast<std::byte*>(out.data()));
    EXPECT_EQ(out, narrowed(x)) << set.name;
  }
}

// |x - scale q| <= scale / 2 and what rounding the scale to half precision adds: 127 scale 2^-11.
TEST(CacheTypes, Q8ErrorIsHalfAStep) {
  const auto x = normal_numbers(32 * 50, 5);
  std::vector<std::byte> row(cached_values_bytes(DType::q8_0, x.size(), 1));
  best().cache_value(DType::q8_0, x.data(), x.size(), 0, row.data());
  for (std::size_t b = 0; b < 50; ++b) {
    float largest = 0;
    for (std::size_t i = 0; i < 32; ++i) largest = std::max(largest, std::abs(x[32 * b + i]));
    const std::byte* const block = row.data() + b * 34;
    std::uint16_t bits = 0;
    std::memcpy(&bits, block, 2);
    const float scale =
        std::ldexp(static_cast<float>((bits & 0x3ffU) | 0x400U), static_cast<int>(bits >> 10) - 25);
    for (std::size_t i = 0; i < 32; ++i) {
      const float q = static_cast<float>(static_cast<std::int8_t>(block[2 + i]));
      EXPECT_LE(std::abs(x[32 * b + i] - scale * q),
                largest / 127 * (0.5F + 127 * 0x1p-11F) * 1.001F);
    }
  }
}

TEST(CacheTypes, SizesCountWholeGroups) {
  EXPECT_EQ(cached_keys_bytes(DType::f32, 8, 1), 16U * 8 * 4);
  EXPECT_EQ(cached_keys_bytes(DType::f16, 8, 16), 16U * 8 * 2);
  EXPECT_EQ(cached_values_bytes(DType::bf16, 8, 17), 32U * 8 * 2);
  EXPECT_EQ(cached_values_bytes(DType::q8_0, 64, 32), 32U * 2 * 34);
  EXPECT_FALSE(is_cache_type(DType::q4_0));
}

}  // namespace
}  // namespace switchyard::kernels
