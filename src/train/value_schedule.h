// A number that changes over a training run: experts per token (SMoE-Dropout), the coefficient of
// the balance loss (AdaMoE), the inverse temperature of a router (Duo-LLM). In a recipe
//
//   [schedule.experts_per_token]
//   kind = "linear"
//   from = 8
//   to = 16
//
//   [schedule.balance_coefficient]
//   kind = "points"
//   points = [[0.0, 0.02], [0.5, 1e-4]]   # from this share of the steps on, this value
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace switchyard::train {

struct ValueSchedule {
  // With u = step / steps, and from -> to (Chen 2023, appendix):
  enum class Kind {
    linear,       // from + (to - from) u
    cosine,       // to - (to - from) cos(pi u / 2): slow at first
    exponential,  // to - (to - from) 0.99^floor(step / floor(steps / 300))
    multi_step,   // from, 2 from, 4 from, ... in five equal parts, at most `to`
    points,       // the value of the last point at or before u
  };
  Kind kind = Kind::linear;
  double from = 0;
  double to = 0;
  std::vector<std::pair<double, double>> points{};  // share of the steps, value; first share 0

  bool operator==(const ValueSchedule&) const = default;
};

// Value in force for step `step` (0-based, finished steps) of `steps`.
double value_at(const ValueSchedule& schedule, std::int64_t step, std::int64_t steps);

// The same for whole numbers: from + round((value - from)), halves to even, as the published code
// rounds, kept between the two ends.
int whole_value_at(const ValueSchedule& schedule, std::int64_t step, std::int64_t steps);

// The smallest whole number that a schedule gives, looked up at every thousandth of a training.
int least_whole_value(const ValueSchedule& schedule);

// What a recipe may schedule; unset: the router's own value all the time.
struct RouterSchedules {
  std::optional<ValueSchedule> experts_per_token;
  std::optional<ValueSchedule> balance_coefficient;
  std::optional<ValueSchedule> inverse_temperature;

  bool operator==(const RouterSchedules&) const = default;
};

// What schedules set for one training step; unset: the router's own value.
struct ScheduledValues {
  std::optional<int> experts_per_token;
  std::optional<double> balance_coefficient;
  std::optional<double> inverse_temperature;
};
ScheduledValues values_at(const RouterSchedules& schedules, std::int64_t step, std::int64_t steps);

}  // namespace switchyard::train
