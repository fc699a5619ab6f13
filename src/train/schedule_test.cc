#include "train/schedule.h"

#include <gtest/gtest.h>

namespace switchyard::train {
namespace {

TEST(Schedule, WarmsUpFromTheFirstStep) {
  const ScheduleRecipe schedule = {.kind = ScheduleKind::constant, .warmup = 4, .min_lr_share = 0};
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 1.0, 0, 100), 0.25);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 1.0, 3, 100), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 1.0, 99, 100), 1.0);
}

TEST(Schedule, CosineAndLinearEndAtTheirShare) {
  for (const ScheduleKind kind : {ScheduleKind::cosine, ScheduleKind::linear}) {
    const ScheduleRecipe schedule = {.kind = kind, .warmup = 10, .min_lr_share = 0.1};
    EXPECT_DOUBLE_EQ(learning_rate(schedule, 2.0, 10, 111), 2.0);
    EXPECT_NEAR(learning_rate(schedule, 2.0, 60, 111), 2.0 * 0.55,
                1e-12);  // both are half-way down there
    EXPECT_NEAR(learning_rate(schedule, 2.0, 110, 111), 0.2, 1e-12);
    EXPECT_NEAR(learning_rate(schedule, 2.0, 500, 111), 0.2, 1e-12);
    for (std::int64_t step = 11; step < 111; ++step) {
      EXPECT_LT(learning_rate(schedule, 2.0, step, 111),
                learning_rate(schedule, 2.0, step - 1, 111));
    }
  }
}

TEST(Schedule, SurvivesWarmupLongerThanTheRun) {
  const ScheduleRecipe schedule = {.kind = ScheduleKind::cosine, .warmup = 50, .min_lr_share = 0.1};
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 1.0, 9, 10), 0.2);
  EXPECT_DOUBLE_EQ(
      learning_rate({.kind = ScheduleKind::linear, .warmup = 0, .min_lr_share = 0}, 1.0, 0, 1),
      1.0);
}

}  // namespace
}  // namespace switchyard::train
