#include "train/value_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/check.h"

namespace switchyard::train {

double value_at(const ValueSchedule& schedule, std::int64_t step, std::int64_t steps) {
  SWITCHYARD_CHECK(step >= 0 && steps > 0);
  const double done = std::min(1.0, static_cast<double>(step) / static_cast<double>(steps));
  const double span = schedule.to - schedule.from;
  switch (schedule.kind) {
    case ValueSchedule::Kind::linear:
      return schedule.from + span * done;
    case ValueSchedule::Kind::cosine:
      return schedule.to - span * std::cos(std::numbers::pi * done / 2.0);
    case ValueSchedule::Kind::exponential: {
      const std::int64_t every = std::max<std::int64_t>(1, steps / 300);
      const std::int64_t times = step / every;
      return schedule.to - span * std::pow(0.99, static_cast<double>(times));
    }
    case ValueSchedule::Kind::multi_step: {
      const auto part = std::min<std::int64_t>(4, 5 * step / steps);
      const double value = schedule.from * std::pow(2.0, static_cast<double>(part));
      return std::clamp(value, std::min(schedule.from, schedule.to),
                        std::max(schedule.from, schedule.to));
    }
    case ValueSchedule::Kind::points:
      break;
  }
  SWITCHYARD_CHECK(!schedule.points.empty());
  double value = schedule.points.front().second;
  for (const auto& [share, next] : schedule.points) {
    if (share <= done) value = next;
  }
  return value;
}

int whole_value_at(const ValueSchedule& schedule, std::int64_t step, std::int64_t steps) {
  const double value = value_at(schedule, step, steps);
  if (schedule.kind == ValueSchedule::Kind::points) {
    return static_cast<int>(std::nearbyint(value));
  }
  // The published formulas round the distance from `from` (linear) or from `to` (the others).
  const bool from_start = schedule.kind == ValueSchedule::Kind::linear;
  const double base = from_start ? schedule.from : schedule.to;
  const double rounded = base + std::nearbyint(value - base);
  return static_cast<int>(std::clamp(rounded, std::min(schedule.from, schedule.to),
                                     std::max(schedule.from, schedule.to)));
}

int least_whole_value(const ValueSchedule& schedule) {
  constexpr std::int64_t kSteps = 1000;
  int least = whole_value_at(schedule, 0, kSteps);
  for (std::int64_t step = 1; step <= kSteps; ++step)
    least = std::min(least, whole_value_at(schedule, step, kSteps));
  return least;
}

ScheduledValues values_at(const RouterSchedules& schedules, std::int64_t step, std::int64_t steps) {
  ScheduledValues out;
  if (schedules.experts_per_token)
    out.experts_per_token = whole_value_at(*schedules.experts_per_token, step, steps);
  if (schedules.balance_coefficient)
    out.balance_coefficient = value_at(*schedules.balance_coefficient, step, steps);
  if (schedules.inverse_temperature)
    out.inverse_temperature = value_at(*schedules.inverse_temperature, step, steps);
  return out;
}

}  // namespace switchyard::train
