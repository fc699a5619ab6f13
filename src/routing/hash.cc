#include "routing/hash.h"

#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/random.h"
#include "routing/decision_builder.h"
#include "routing/draw_experts.h"
#include "routing/inputs_check.h"
#include "routing/scratch.h"

namespace switchyard::routing {

void route_hash(const Config& config, const Inputs& inputs, State& state, Decision& decision) {
  SWITCHYARD_CHECK(inputs.token_ids.size() == inputs.items);
  const auto k = static_cast<std::size_t>(effective_k(config, inputs));
  const float weight = config.scaling_factor / static_cast<float>(k);

  Scratch<std::int32_t> order(static_cast<std::size_t>(config.experts));
  Scratch<std::int32_t> chosen(k);
  DecisionBuilder builder(config.experts, inputs.items, k, decision);
  for (const std::int32_t token : inputs.token_ids) {
    // The run's seed, step and pass stay out: the table is part of the model.
    const Random random(RandomKey{
        .seed = config.seed, .step = static_cast<std::uint32_t>(token), .layer = state.layer});
    draw_experts(random, order.span(), chosen.span());
    for (const std::int32_t expert : chosen.span()) builder.assign(expert, weight);
    builder.end_item();
  }
}

}  // namespace switchyard::routing
