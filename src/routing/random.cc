#include "routing/random.h"

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "base/random.h"
#include "routing/decision_builder.h"
#include "routing/draw_experts.h"
#include "routing/inputs_check.h"
#include "routing/scratch.h"

namespace switchyard::routing {
namespace {

// The output whose share of [0, 1) holds the draw: shares stand one after another, the rounding
// error of their sum belongs to the last that is not 0.
std::size_t draw_share(Random random, std::span<const float> shares) {
  const double draw = random.uniform();
  double end = 0.0;
  std::size_t last = 0;
  for (std::size_t r = 0; r < shares.size(); ++r) {
    if (shares[r] == 0.0F) continue;
    end += static_cast<double>(shares[r]);
    last = r;
    if (draw < end) break;
  }
  return last;
}

}  // namespace

void route_random(const Config& config, const Inputs& inputs, State& state, Decision& decision) {
  SWITCHYARD_CHECK(inputs.item_ids.empty() || inputs.item_ids.size() == inputs.items);
  const auto k = static_cast<std::size_t>(effective_k(config, inputs));
  const float weight = config.scaling_factor / static_cast<float>(k);

  // The config's seed and the run's seed both matter; then the place in the run, then the item.
  const std::uint64_t seed = RandomKey{.seed = config.seed, .step = state.seed}.hash();
  const std::uint64_t call =
      RandomKey{.seed = seed, .step = state.step, .pass = state.pass, .layer = state.layer}.hash();

  Scratch<std::int32_t> order(static_cast<std::size_t>(config.experts));
  Scratch<std::int32_t> chosen(k);
  DecisionBuilder builder(config.experts, inputs.items, k, decision);
  for (std::size_t n = 0; n < inputs.items; ++n) {
    const std::uint64_t id = inputs.item_ids.empty() ? n : inputs.item_ids[n];
    const Random random(RandomKey{.seed = call, .step = id});
    if (!config.probabilities.empty()) {
      const std::size_t output = draw_share(random, config.probabilities);
      if (output < static_cast<std::size_t>(config.experts)) {
        builder.assign(static_cast<std::int32_t>(output), weight);
      } else {
        builder.count_nulls(1);
      }
      builder.end_item();
      continue;
    }
    draw_experts(random, order.span(), chosen.span());
    for (const std::int32_t expert : chosen.span()) builder.assign(expert, weight);
    builder.end_item();
  }
}

}  // namespace switchyard::routing
