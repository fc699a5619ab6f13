#include "routing/top_k.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "routing/capacity.h"
#include "routing/decision_builder.h"
#include "routing/gate_weights.h"
#include "routing/inputs_check.h"
#include "routing/scratch.h"
#include "routing/selection.h"
#include "routing/selection_keys.h"

namespace switchyard::routing {
namespace {

bool has_room(std::span<const std::uint32_t> counts, std::uint32_t capacity, std::int32_t expert) {
  return counts[static_cast<std::size_t>(expert)] < capacity;
}

// Chooses again among the experts with room. Returns how many of `chosen` were found, best first.
std::size_t choose_with_room(std::span<const float> keys, std::span<const std::uint32_t> counts,
                             std::uint32_t capacity, std::span<std::int32_t> chosen) {
  Scratch<float> memory(keys.size());
  const auto open = memory.span();
  for (std::size_t e = 0; e < keys.size(); ++e) {
    open[e] = keys[e];
    if (counts[e] >= capacity) open[e] = kExcluded;
  }
  select_top_k(open, chosen);
  const auto end = std::ranges::find_if(
      chosen, [&](std::int32_t e) { return open[static_cast<std::size_t>(e)] == kExcluded; });
  return static_cast<std::size_t>(end - chosen.begin());
}

}  // namespace

void route_top_k(const Config& config, const Inputs& inputs, State& /*state*/, Decision& decision) {
  check_logits(config, inputs);
  const auto width = static_cast<std::size_t>(router_width(config));
  const auto k = static_cast<std::size_t>(effective_k(config, inputs));
  const std::uint32_t capacity = expert_capacity(config, inputs.items, static_cast<int>(k));
  const bool keyed = needs_keys(config);

  Scratch<float> key_memory(keyed ? width : 0);
  Scratch<std::int32_t> chosen_memory(k);
  Scratch<float> weight_memory(k);
  const auto chosen = chosen_memory.span();
  const auto weight = weight_memory.span();

  DecisionBuilder builder(config.experts, inputs.items,
                          std::min(k, static_cast<std::size_t>(config.experts)), decision);
  for (std::size_t n = 0; n < inputs.items; ++n) {
    const auto logits = inputs.logits.subspan(n * width, width);
    std::span<const float> keys = logits;
    if (keyed) {
      selection_keys(config, logits, inputs.selection_bias, key_memory.span());
      keys = key_memory.span();
    }
    select_top_k(keys, chosen);

    std::size_t found = k;
    if (capacity != 0 && config.overflow == Overflow::next_expert) {
      const auto room = [&](std::int32_t e) { return has_room(builder.counts(), capacity, e); };
      if (!std::ranges::all_of(chosen, room)) {
        found = choose_with_room(keys, builder.counts(), capacity, chosen);
      }
      builder.drop(k - found);
    }
    gate_weights(config, logits, chosen.first(found), weight.first(found));
    for (std::size_t j = 0; j < found; ++j) {
      if (chosen[j] >= config.experts) {
        builder.count_nulls(1);
      } else if (capacity == 0 || has_room(builder.counts(), capacity, chosen[j])) {
        builder.assign(chosen[j], weight[j]);
      } else {
        builder.drop(1);
      }
    }
    builder.end_item();
  }
}

Config listing_nulls(const Config& config) {
  Config all = config;
  all.experts += all.null_experts;
  all.null_experts = 0;
  all.null_weights = NullWeights::true_only;
  all.losses = {};
  return all;
}

}  // namespace switchyard::routing
