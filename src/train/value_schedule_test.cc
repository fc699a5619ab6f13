#include "train/value_schedule.h"

#include <gtest/gtest.h>

namespace switchyard::train {
namespace {

constexpr std::int64_t kSteps = 400'000;

ValueSchedule from_to(ValueSchedule::Kind kind, double from, double to) {
  return {.kind = kind, .from = from, .to = to};
}

double mean_of(const ValueSchedule& schedule) {
  double sum = 0;
  for (std::int64_t s = 0; s < kSteps; s += 50) sum += whole_value_at(schedule, s, kSteps);
  return sum / (kSteps / 50);
}

// The published SMoE-Dropout setting, 8 to 16 experts over 400,000 steps.
TEST(ValueSchedule, LinearExpertsPerTokenAsPublished) {
  const auto schedule = from_to(ValueSchedule::Kind::linear, 8, 16);
  EXPECT_EQ(whole_value_at(schedule, 0, kSteps), 8);
  EXPECT_EQ(whole_value_at(schedule, 25'000, kSteps), 8);  // half a step up rounds to even
  EXPECT_EQ(whole_value_at(schedule, 25'001, kSteps), 9);
  EXPECT_EQ(whole_value_at(schedule, 75'000, kSteps), 10);
  EXPECT_EQ(whole_value_at(schedule, 125'000, kSteps), 10);
  EXPECT_EQ(whole_value_at(schedule, 125'001, kSteps), 11);
  EXPECT_EQ(whole_value_at(schedule, 375'000, kSteps), 16);
  EXPECT_EQ(whole_value_at(schedule, kSteps, kSteps), 16);
  EXPECT_NEAR(mean_of(schedule), 12.0, 0.05);
}

TEST(ValueSchedule, MeansOfTheOtherShapesAsPublished) {
  // A mean below linear's: the published cosine is slow at first.
  EXPECT_NEAR(mean_of(from_to(ValueSchedule::Kind::cosine, 8, 16)), 10.9, 0.05);
  EXPECT_NEAR(mean_of(from_to(ValueSchedule::Kind::exponential, 8, 16)), 13.4, 0.05);
  EXPECT_EQ(whole_value_at(from_to(ValueSchedule::Kind::exponential, 1, 16), kSteps - 1, kSteps),
            15);
}

TEST(ValueSchedule, RisesAndReachesItsEnds) {
  for (const auto kind : {ValueSchedule::Kind::linear, ValueSchedule::Kind::cosine,
                          ValueSchedule::Kind::multi_step}) {
    const auto schedule = from_to(kind, 1, 16);
    EXPECT_EQ(whole_value_at(schedule, 0, 1000), 1);
    EXPECT_EQ(whole_value_at(schedule, 1000, 1000), 16);
    for (int s = 1; s <= 1000; ++s) {
      ASSERT_GE(whole_value_at(schedule, s, 1000), whole_value_at(schedule, s - 1, 1000));
    }
  }
}

TEST(ValueSchedule, FallsWhenTheEndIsLower) {
  const auto schedule = from_to(ValueSchedule::Kind::linear, 16, 8);
  EXPECT_EQ(whole_value_at(schedule, 0, 100), 16);
  EXPECT_EQ(whole_value_at(schedule, 50, 100), 12);
  EXPECT_EQ(whole_value_at(schedule, 100, 100), 8);
}

TEST(ValueSchedule, PointsHoldUntilTheNext) {
  const ValueSchedule schedule{.kind = ValueSchedule::Kind::points,
                               .points = {{0.0, 0.02}, {0.5, 1e-4}}};
  EXPECT_DOUBLE_EQ(value_at(schedule, 0, 10), 0.02);
  EXPECT_DOUBLE_EQ(value_at(schedule, 4, 10), 0.02);
  EXPECT_DOUBLE_EQ(value_at(schedule, 5, 10), 1e-4);
  EXPECT_DOUBLE_EQ(value_at(schedule, 9, 10), 1e-4);
}

TEST(ValueSchedule, TheLeastValueIsTheOneItReaches) {
  const auto least = [](ValueSchedule::Kind kind, double from, double to) {
    return least_whole_value(from_to(kind, from, to));
  };
  for (const auto kind : {ValueSchedule::Kind::linear, ValueSchedule::Kind::cosine,
                          ValueSchedule::Kind::exponential, ValueSchedule::Kind::multi_step}) {
    EXPECT_EQ(least(kind, 4, 16), 4);
  }
  EXPECT_EQ(least(ValueSchedule::Kind::linear, 16, 4), 4);
  EXPECT_EQ(least(ValueSchedule::Kind::multi_step, 16, 4), 16);  // it only doubles
  EXPECT_EQ(least_whole_value(
                {.kind = ValueSchedule::Kind::points, .points = {{0.0, 5}, {0.3, 3}, {0.6, 9}}}),
            3);
}

}  // namespace
}  // namespace switchyard::train
