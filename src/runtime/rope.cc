#include "runtime/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "formats/rope_scaling.h"

namespace switchyard::runtime {
namespace {

// Low frequencies are divided, high ones kept, those between mixed (Llama 3.1).
void scale_llama3(const RopeScaling& scaling, std::vector<float>& frequencies) {
  const auto original = static_cast<float>(scaling.original_context);
  const float low = scaling.low_frequency_factor;
  const float high = scaling.high_frequency_factor;
  for (float& frequency : frequencies) {
    const float turns = original * frequency / (2 * std::numbers::pi_v<float>);
    const float kept = std::clamp((turns - low) / (high - low), 0.0F, 1.0F);
    frequency = (1.0F - kept) * frequency / scaling.factor + kept * frequency;
  }
}

// The dimension pair, a real number, whose frequency turns so often in the original context.
double dimension_of(double turns, int dims, double theta, int original) {
  return dims * std::log(original / (turns * 2 * std::numbers::pi)) / (2 * std::log(theta));
}

// As llama3, with a passage that is even in the dimensions (Peng 2023, section 3.2).
void scale_yarn(const RopeScaling& scaling, int dims, float theta,
                std::vector<float>& frequencies) {
  double first = dimension_of(scaling.beta_fast, dims, theta, scaling.original_context);
  double last = dimension_of(scaling.beta_slow, dims, theta, scaling.original_context);
  if (scaling.truncate) {
    first = std::floor(first);
    last = std::ceil(last);
  }
  first = std::max(first, 0.0);
  last = std::min(last, static_cast<double>(dims - 1));
  if (first == last) last += 0.001;  // a step where there is no room for a passage
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const double divided = std::clamp((static_cast<double>(i) - first) / (last - first), 0.0, 1.0);
    const auto share = static_cast<float>(divided);
    frequencies[i] = frequencies[i] / scaling.factor * share + frequencies[i] * (1.0F - share);
  }
}

// The base that NTK-aware scaling puts in place of theta, for a context of so many tokens.
float scaled_base(const RopeScaling& scaling, int dims, float theta, int context) {
  const double factor = scaling.factor;
  double alpha = scaling.alpha;
  if (alpha == 0) {
    if (context <= scaling.original_context) return theta;
    alpha = factor * context / scaling.original_context - (factor - 1);
  }
  return static_cast<float>(theta * std::pow(alpha, dims / (dims - 2.0)));
}

// Angle per position of each rotated pair.
std::vector<float> frequencies(int dims, float theta, const RopeScaling& scaling, int context) {
  if (scaling.kind == RopeKind::dynamic) theta = scaled_base(scaling, dims, theta, context);
  std::vector<float> out;
  for (int i = 0; i < dims / 2; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(dims);
    out.push_back(1.0F / std::pow(theta, exponent));
  }
  switch (scaling.kind) {
    case RopeKind::plain:
    case RopeKind::dynamic:
      break;
    case RopeKind::linear:
      for (float& frequency : out) frequency /= scaling.factor;
      break;
    case RopeKind::llama3:
      scale_llama3(scaling, out);
      break;
    case RopeKind::yarn:
      scale_yarn(scaling, dims, theta, out);
      break;
  }
  return out;
}

}  // namespace

RopeTable::RopeTable(int positions, int dims, float theta, const RopeScaling& scaling)
    : half_(static_cast<std::size_t>(dims) / 2) {
  cos_.reserve(half_ * static_cast<std::size_t>(positions));
  sin_.reserve(half_ * static_cast<std::size_t>(positions));
  const std::vector<float> per_position = frequencies(dims, theta, scaling, positions);
  const auto magnitude = static_cast<double>(rope_magnitude(scaling));
  for (int p = 0; p < positions; ++p) {
    for (const float frequency : per_position) {
      // The angle is rounded to fp32 as in the reference implementations: far positions depend on
      // it.
      const float angle = static_cast<float>(p) * frequency;
      cos_.push_back(static_cast<float>(std::cos(static_cast<double>(angle)) * magnitude));
      sin_.push_back(static_cast<float>(std::sin(static_cast<double>(angle)) * magnitude));
    }
  }
}

}  // namespace switchyard::runtime
