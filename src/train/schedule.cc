#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace switchyard::train {

double learning_rate(const ScheduleRecipe& schedule, double lr, std::int64_t step,
                     std::int64_t total) {
  if (step < schedule.warmup) {
    return lr * static_cast<double>(step + 1) / static_cast<double>(schedule.warmup);
  }
  if (schedule.kind == ScheduleKind::constant) return lr;
  const auto span = static_cast<double>(std::max<std::int64_t>(1, total - 1 - schedule.warmup));
  const double done = std::clamp(static_cast<double>(step - schedule.warmup) / span, 0.0, 1.0);
  const double share = schedule.kind == ScheduleKind::linear
                           ? 1.0 - done
                           : 0.5 * (1.0 + std::cos(std::numbers::pi * done));
  return lr * (schedule.min_lr_share + (1.0 - schedule.min_lr_share) * share);
}

}  // namespace switchyard::train
