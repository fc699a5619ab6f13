// How long a run is and how far it has got: what ends the training and what its schedules run over.
//
// A run given by steps or tokens has that many steps. One given by FLOPs ends with the step in
// which the FLOPs counted so far reach the number, so that methods with a variable number of
// experts spend the same as others; its schedules (learning rate and router) run over the share of
// the FLOPs spent, on a scale of as many steps as the configured number of experts would take.
#pragma once

#include <cstdint>

#include "switchyard/model_config.h"

#include "train/recipe.h"

namespace switchyard::train {

class RunLength {
 public:
  RunLength(const Recipe& recipe, const ModelConfig& config);

  // Length of the scale that schedules run over; of a run without FLOPs, its steps.
  std::int64_t steps() const { return steps_; }
  // Where a run with `done` steps and `flops` counted stands on it, 0 to steps(); steps() only when
  // it is over.
  std::int64_t position(std::int64_t done, double flops) const;
  bool over(std::int64_t done, double flops) const { return position(done, flops) == steps_; }

 private:
  double flops_ = 0;
  std::int64_t steps_ = 0;
};

}  // namespace switchyard::train
