#include "routing/selection_keys.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "routing/gate_weights.h"
#include "routing/scratch.h"
#include "routing/selection.h"

namespace switchyard::routing {
namespace {

float group_score(GroupScore rule, std::span<const float> members) {
  if (rule == GroupScore::max || members.size() == 1) return *std::ranges::max_element(members);
  std::array<std::int32_t, 2> best;
  select_top_k(members, best);
  return members[static_cast<std::size_t>(best[0])] + members[static_cast<std::size_t>(best[1])];
}

// Leaves the keys of the best groups and excludes the others. `basis` [R] is what a group is judged
// by.
void limit_groups(const Config& config, std::span<const float> basis, std::span<float> keys) {
  const auto groups = static_cast<std::size_t>(config.groups);
  const std::size_t members = keys.size() / groups;
  Scratch<float, 64> score_memory(groups);
  Scratch<std::int32_t, 64> chosen_memory(static_cast<std::size_t>(config.groups_per_token));
  Scratch<std::uint8_t, 64> kept_memory(groups);
  const auto scores = score_memory.span();
  const auto chosen = chosen_memory.span();
  const auto kept = kept_memory.span();

  for (std::size_t g = 0; g < groups; ++g) {
    scores[g] = group_score(config.group_score, basis.subspan(g * members, members));
  }
  select_top_k(scores, chosen);
  std::ranges::fill(kept, std::uint8_t{0});
  for (const std::int32_t g : chosen) kept[static_cast<std::size_t>(g)] = 1;
  for (std::size_t g = 0; g < groups; ++g) {
    if (kept[g] == 0) std::ranges::fill(keys.subspan(g * members, members), kExcluded);
  }
}

}  // namespace

bool needs_keys(const Config& config) {
  return config.selection_bias || config.groups_per_token < config.groups;
}

void selection_keys(const Config& config, std::span<const float> logits,
                    std::span<const float> bias, std::span<float> keys) {
  if (bias.empty()) {
    std::ranges::copy(logits, keys.begin());
  } else {
    expert_scores(config.score, logits, keys);
    for (std::size_t e = 0; e < keys.size(); ++e) keys[e] += bias[e];
  }
  if (config.groups_per_token == config.groups) return;

  // Sums of logits and sums of scores order groups differently, so top2_sum needs scores even
  // without a bias.
  if (bias.empty() && config.group_score == GroupScore::top2_sum) {
    Scratch<float> memory(keys.size());
    expert_scores(config.score, logits, memory.span());
    limit_groups(config, memory.span(), keys);
  } else {
    limit_groups(config, keys, keys);
  }
}

}  // namespace switchyard::routing
