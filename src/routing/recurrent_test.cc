// The recurrent router's step against its formulas in double, and what the paper's cell promises.
#include "routing/recurrent.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <numeric>
#include <vector>

#include "base/random.h"

namespace switchyard::routing {
namespace {

constexpr std::size_t kWidth = 5;

std::vector<float> random_values(std::size_t count, std::uint64_t seed, float scale = 1.0F) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& v : values) v = static_cast<float>(random.normal()) * scale;
  return values;
}

Config config_of(Cell cell, StatePassing passing = StatePassing::full) {
  Config config = default_config(Kind::recurrent);
  config.router_hidden = kWidth;
  config.cell = cell;
  config.state_passing = passing;
  return config;
}

// A cell with products as plain loops.
struct PlainCell {
  explicit PlainCell(const Config& c, std::uint64_t seed = 1) : config(c) {
    const auto rows = static_cast<std::size_t>(cell_gates(config)) * kWidth;
    weight_ih = random_values(rows * kWidth, seed);
    weight_hh = random_values(rows * kWidth, seed + 1);
    bias_ih = random_values(rows, seed + 2);
    bias_hh = random_values(rows, seed + 3);
  }

  std::vector<float> times(const std::vector<float>& weight, std::span<const float> x) const {
    std::vector<float> y;
    const std::size_t rows = weight.size() / kWidth;
    for (std::size_t n = 0; n < x.size() / kWidth; ++n) {
      for (std::size_t r = 0; r < rows; ++r) {
        y.push_back(std::inner_product(x.begin() + n * kWidth, x.begin() + (n + 1) * kWidth,
                                       weight.begin() + r * kWidth, 0.0F));
      }
    }
    return y;
  }

  void step(const std::vector<float>& x, State& state) const {
    begin_step(config, x.size() / kWidth, state);
    const auto from_input = times(weight_ih, x);
    const auto from_state = times(weight_hh, state.recurrent);
    step_state(config,
               {.from_input = from_input,
                .from_state = from_state,
                .bias_ih = bias_ih,
                .bias_hh = bias_hh},
               state.recurrent);
  }

  Config config;
  std::vector<float> weight_ih, weight_hh, bias_ih, bias_hh;
};

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

TEST(Recurrent, GruIsTheFormulaWithTheResetGateOnTheBiasedTerm) {
  const PlainCell cell(config_of(Cell::gru));
  const auto x = random_values(3 * kWidth, 10);
  State state{.recurrent = random_values(3 * kWidth, 11, 0.3F)};
  const auto before = state.recurrent;
  cell.step(x, state);
  const auto from_x = cell.times(cell.weight_ih, x);
  const auto from_h = cell.times(cell.weight_hh, before);
  for (std::size_t n = 0; n < 3; ++n) {
    for (std::size_t i = 0; i < kWidth; ++i) {
      const auto in = [&](std::size_t g) {
        return double{from_x[n * 3 * kWidth + g * kWidth + i]} + cell.bias_ih[g * kWidth + i];
      };
      const auto hid = [&](std::size_t g) {
        return double{from_h[n * 3 * kWidth + g * kWidth + i]} + cell.bias_hh[g * kWidth + i];
      };
      const double r = sigmoid(in(0) + hid(0)), z = sigmoid(in(1) + hid(1));
      const double fresh = std::tanh(in(2) + r * hid(2));
      EXPECT_NEAR(state.recurrent[n * kWidth + i],
                  (1 - z) * fresh + z * double{before[n * kWidth + i]}, 1e-6);
    }
  }
}

TEST(Recurrent, StateStaysBelowOneAndLogitsAreBoundedByTheLastMatrixAlone) {
  for (const Cell kind : {Cell::gru, Cell::rnn}) {
    PlainCell cell(config_of(kind));
    for (float& w : cell.weight_ih) w *= 3.0F;
    State state;
    for (std::uint64_t layer = 0; layer < 30; ++layer) {
      cell.step(random_values(4 * kWidth, 20 + layer), state);
      for (const float h : state.recurrent) ASSERT_LE(std::abs(h), 1.0F);
    }
  }
}

TEST(Recurrent, AnOpenUpdateGateKeepsTheStateAndAClosedOneForgetsIt) {
  PlainCell cell(config_of(Cell::gru));
  const auto x = random_values(2 * kWidth, 30);
  const auto before = random_values(2 * kWidth, 31, 0.4F);
  for (std::size_t i = 0; i < kWidth; ++i) cell.bias_ih[kWidth + i] = 200.0F;
  State kept{.recurrent = before};
  cell.step(x, kept);
  EXPECT_EQ(kept.recurrent, before);

  for (std::size_t i = 0; i < kWidth; ++i) {
    cell.bias_ih[kWidth + i] = -200.0F;
    cell.bias_ih[i] = -200.0F;  // reset closed, too: nothing of the old state is left
  }
  State a{.recurrent = before}, b{.recurrent = random_values(2 * kWidth, 32, 0.4F)};
  cell.step(x, a);
  cell.step(x, b);
  EXPECT_EQ(a.recurrent, b.recurrent);
}

TEST(Recurrent, InTheFirstLayerTheResetGateActsThroughItsBiasOnly) {
  PlainCell cell(config_of(Cell::gru));
  for (std::size_t i = 0; i < kWidth; ++i) cell.bias_hh[2 * kWidth + i] = 0.0F;
  const auto x = random_values(2 * kWidth, 40);
  State as_it_is, other;
  cell.step(x, as_it_is);
  for (std::size_t i = 0; i < kWidth; ++i) cell.bias_ih[i] += 5.0F;
  cell.step(x, other);
  EXPECT_EQ(as_it_is.recurrent, other.recurrent);

  for (std::size_t i = 0; i < kWidth; ++i) cell.bias_hh[2 * kWidth + i] = 0.7F;
  State biased, biased_other;
  cell.step(x, biased);
  for (std::size_t i = 0; i < kWidth; ++i) cell.bias_ih[i] -= 5.0F;
  cell.step(x, biased_other);
  EXPECT_NE(biased.recurrent, biased_other.recurrent);
}

TEST(Recurrent, WithoutPassingEveryLayerIsAFirstLayer) {
  const PlainCell passing(config_of(Cell::gru)), alone(config_of(Cell::gru, StatePassing::none));
  const auto first = random_values(2 * kWidth, 50), second = random_values(2 * kWidth, 51);
  State full, none, fresh;
  passing.step(first, full);
  alone.step(first, none);
  EXPECT_EQ(full.recurrent, none.recurrent);  // with one layer there is nothing to pass
  passing.step(second, full);
  alone.step(second, none);
  passing.step(second, fresh);
  EXPECT_EQ(none.recurrent, fresh.recurrent);
  EXPECT_NE(full.recurrent, fresh.recurrent);
}

TEST(Recurrent, PermutingItemsPermutesTheStateAndNoItemSeesAnother) {
  const PlainCell cell(config_of(Cell::gru));
  const auto x = random_values(3 * kWidth, 60), y = random_values(3 * kWidth, 61);
  State together;
  cell.step(x, together);
  cell.step(y, together);
  for (const std::size_t n : {2U, 0U, 1U}) {
    const auto row = [&](const std::vector<float>& v) {
      return std::vector<float>(v.begin() + n * kWidth, v.begin() + (n + 1) * kWidth);
    };
    State single;
    cell.step(row(x), single);
    cell.step(row(y), single);
    EXPECT_EQ(single.recurrent, row(together.recurrent));
  }
}

TEST(Recurrent, ZeroWeightsGiveAZeroStateAndTiesGoToTheLowestExperts) {
  PlainCell cell(config_of(Cell::gru));
  for (auto* part : {&cell.weight_ih, &cell.weight_hh, &cell.bias_ih, &cell.bias_hh}) {
    std::ranges::fill(*part, 0.0F);
  }
  State state;
  cell.step(random_values(2 * kWidth, 70), state);
  EXPECT_EQ(state.recurrent, std::vector<float>(2 * kWidth, 0.0F));
  Config config = cell.config;
  config.experts = 4;
  const std::vector<float> logits(8, 0.0F);
  const auto decision = route(config, {.logits = logits, .items = 2}, state);
  EXPECT_EQ(decision.expert, (std::vector<std::int32_t>{0, 1, 0, 1}));
}

TEST(Recurrent, RoutesAsTopKDoes) {
  Config recurrent = default_config(Kind::recurrent);
  const Config top_k = default_config(Kind::top_k);
  const auto logits = random_values(20 * 8, 80);
  State state;
  EXPECT_EQ(route(recurrent, {.logits = logits, .items = 20}, state),
            route(top_k, {.logits = logits, .items = 20}, state));
  recurrent.router_hidden = 0;
  EXPECT_THROW(validate(recurrent), std::exception);
}

}  // namespace
}  // namespace switchyard::routing
