// From logits to the next token: repeat penalty, top-k, top-p, min-p, temperature, a draw. In this
// order, so that the filters see the model's own probabilities and temperature only spreads what
// they kept.
#pragma once

#include <cstdint>
#include <span>

namespace switchyard {

struct SamplingOptions {
  float temperature = 0.8F;  // 0: greedy
  int top_k = 40;            // keep the k most probable; 0: all
  float top_p = 0.95F;       // keep the smallest set with this much probability; 1: all
  float min_p = 0.05F;       // drop tokens below this share of the best one's probability; 0: none
  float repeat_penalty = 1.0F;  // > 1 makes tokens of the recent past less likely; 1: off
  int repeat_window = 64;       // how many recent tokens count
  std::uint64_t seed = 0;
};

void validate(const SamplingOptions& options);

// Not thread safe; one per sequence. Deterministic for a seed.
class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options);
  // `logits` [V]; `recent`: tokens so far, newest last. Ties go to the lower id.
  std::int32_t sample(std::span<const float> logits, std::span<const std::int32_t> recent);

 private:
  SamplingOptions options_;
  std::uint64_t state_;
};

}  // namespace switchyard
