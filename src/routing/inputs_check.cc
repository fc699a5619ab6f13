#include "routing/inputs_check.h"

#include <bit>
#include <cstdint>
#include <string>

#include "switchyard/error.h"

#include "base/check.h"

namespace switchyard::routing {
namespace {

bool finite(float value) {
  constexpr std::uint32_t kExponent = 0x7f800000U;
  return (std::bit_cast<std::uint32_t>(value) & kExponent) != kExponent;
}

// One pass without branches, so that it vectorises; the search for the culprit runs only when there
// is one.
bool all_finite(std::span<const float> values) {
  std::uint32_t bad = 0;
  for (const float value : values) bad |= finite(value) ? 0U : 1U;
  return bad == 0;
}

std::size_t first_not_finite(std::span<const float> values) {
  std::size_t i = 0;
  while (finite(values[i])) ++i;
  return i;
}

}  // namespace

int effective_k(const Config& config, const Inputs& inputs) {
  if (inputs.experts_per_token == 0) return config.experts_per_token;
  // Groups leave fewer experts to choose from.
  const int limit = config.experts / config.groups * config.groups_per_token + config.null_experts;
  if (inputs.experts_per_token < 1 || inputs.experts_per_token > limit) {
    throw Error(
        {.what = "experts per token of this call is " + std::to_string(inputs.experts_per_token),
         .where = "router",
         .expected = "1 to " + std::to_string(limit),
         .fix = "change the schedule or the override"});
  }
  return inputs.experts_per_token;
}

void check_logits(const Config& config, const Inputs& inputs) {
  const auto width = static_cast<std::size_t>(router_width(config));
  SWITCHYARD_CHECK(inputs.logits.size() == inputs.items * width);
  SWITCHYARD_CHECK(inputs.selection_bias.size() == (config.selection_bias ? width : 0));
  if (!all_finite(inputs.logits)) {
    const std::size_t at = first_not_finite(inputs.logits);
    throw Error(
        {.what = "router logit is " + std::to_string(inputs.logits[at]),
         .where = "item " + std::to_string(at / width) + ", expert " + std::to_string(at % width),
         .expected = "a finite number",
         .fix =
             "the model has diverged, or its weights are damaged, which switchyard inspect MODEL "
             "--check tells"});
  }
  if (!all_finite(inputs.selection_bias)) {
    const std::size_t at = first_not_finite(inputs.selection_bias);
    throw Error({.what = "router selection bias is " + std::to_string(inputs.selection_bias[at]),
                 .where = "expert " + std::to_string(at),
                 .expected = "a finite number",
                 .fix = "the model's weights are damaged: switchyard inspect MODEL --check"});
  }
}

}  // namespace switchyard::routing
