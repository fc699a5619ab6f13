#include "runtime/scratch.h"

#include <algorithm>

#include "kernels/kernels.h"
#include "routing/recurrent.h"
#include "runtime/blocked_attention.h"
#include "runtime/memory_plan.h"

namespace switchyard::runtime {
namespace {

// The most that one call of multiply() rounds.
std::size_t rounded_bytes(const ModelConfig& c, std::size_t n) {
  const auto row = [](int columns) {
    constexpr std::size_t kStep = 32;  // columns of quantised weights are multiples of it
    return kernels::q8_row_bytes((static_cast<std::size_t>(columns) + kStep - 1) / kStep * kStep);
  };
  std::size_t bytes = n * std::max({row(c.width), row(c.mixed_width()), row(c.dense.hidden)});
  if (c.mla) {
    const std::size_t rows = n * static_cast<std::size_t>(c.heads);
    bytes = std::max(
        {bytes, n * row(c.mla->q_rank), rows * row(c.mla->kv_rank), rows * row(c.mla->nope_dim)});
  }
  if (c.moe) {
    const std::size_t assignments =
        n * static_cast<std::size_t>(routing::most_experts_per_item(c.moe->router));
    bytes =
        std::max({bytes, n * row(c.moe->shared_hidden), 2 * n * row(c.moe->router.router_hidden),
                  assignments * std::max(row(c.width), row(c.moe->expert.hidden))});
  }
  return bytes;
}

// Calls take(member, count) for every piece: once to add up, once to hand out.
template <class Take>
void lay_out(const ModelConfig& c, std::size_t n, bool quantised, Take&& take) {
  if (quantised) take(&Scratch::rounded, rounded_bytes(c, n) / sizeof(float));
  const auto d = static_cast<std::size_t>(c.width);
  const auto q = static_cast<std::size_t>(c.q_width());
  const auto kv = static_cast<std::size_t>(c.kv_width());
  take(&Scratch::x, n * d);
  take(&Scratch::normed, n * d);
  take(&Scratch::q, n * q);
  if (c.mla) {
    const auto h = static_cast<std::size_t>(c.heads);
    take(&Scratch::q_low, n * static_cast<std::size_t>(c.mla->q_rank));
    take(&Scratch::latent, n * static_cast<std::size_t>(c.mla->cached_width()));
    take(&Scratch::head_rows,
         n * h * static_cast<std::size_t>(std::max(c.mla->nope_dim, c.mla->value_dim)));
    take(&Scratch::head_latents, n * h * static_cast<std::size_t>(c.mla->kv_rank));
  } else {
    take(&Scratch::k, n * kv);
    take(&Scratch::v, n * kv);
  }
  const AttentionMemory attention(c);
  take(&Scratch::attention, attention.workers * attention.worker_floats);
  take(&Scratch::attention_parts, attention.part_rows * attention.state_floats);
  take(&Scratch::mixed, n * static_cast<std::size_t>(c.mixed_width()));
  take(&Scratch::block, n * d);
  const bool any_dense = std::ranges::find(c.layer_is_moe, false) != c.layer_is_moe.end();
  const auto hidden = static_cast<std::size_t>(
      std::max(any_dense ? c.dense.hidden : 0, c.moe ? c.moe->shared_hidden : 0));
  take(&Scratch::gate, n * hidden);
  take(&Scratch::up, n * hidden);
  if (!c.moe) return;
  const auto k = static_cast<std::size_t>(routing::most_experts_per_item(c.moe->router));
  const auto f = static_cast<std::size_t>(c.moe->expert.hidden);
  const auto r = static_cast<std::size_t>(routing::router_width(c.moe->router));
  take(&Scratch::router_logits, n * r);
  take(&Scratch::next_logits, n * r);
  const auto p = static_cast<std::size_t>(c.moe->router.router_hidden);
  const std::size_t gates = static_cast<std::size_t>(routing::cell_gates(c.moe->router));
  take(&Scratch::router_hidden, n * p);
  take(&Scratch::cell_from_input, n * gates * p);
  take(&Scratch::cell_from_state, n * gates * p);
  take(&Scratch::shared_scale, n);
  take(&Scratch::expert_in, n * k * d);
  take(&Scratch::expert_gate, n * k * f);
  take(&Scratch::expert_up, n * k * f);
  take(&Scratch::expert_out, n * k * d);
}

std::size_t arena_bytes(const ModelConfig& config, int tokens, bool quantised) {
  std::size_t total = 0;
  lay_out(config, static_cast<std::size_t>(tokens), quantised,
          [&](std::span<float> Scratch::*, std::size_t count) {
            total += Arena::rounded(count * sizeof(float));
          });
  return total;
}

}  // namespace

std::uint64_t scratch_bytes(const ModelConfig& config, int tokens, int sessions, bool quantised) {
  // Besides the arena, logits: a block of rows being computed, and what the caller was handed in
  // this step and the last.
  const auto logits =
      3 * static_cast<std::uint64_t>(sessions) * static_cast<std::uint64_t>(config.vocab);
  // The state of a recurrent router, and its copy for a guess of the next layer.
  const bool cell = config.moe && routing::cell_gates(config.moe->router) > 0;
  const auto state = cell ? 2 * static_cast<std::uint64_t>(tokens) *
                                static_cast<std::uint64_t>(config.moe->router.router_hidden)
                          : std::uint64_t{0};
  return arena_bytes(config, tokens, quantised) + (logits + state) * sizeof(float);
}

Scratch::Scratch(const ModelConfig& config, int tokens_at_once, int sessions, bool quantised,
                 const std::shared_ptr<Ledger>& ledger)
    : tokens(tokens_at_once),
      booking_(Ledger::book(ledger, Purpose::scratch,
                            scratch_bytes(config, tokens_at_once, sessions, quantised))),
      arena_(arena_bytes(config, tokens_at_once, quantised)) {
  lay_out(config, static_cast<std::size_t>(tokens), quantised,
          [&](std::span<float> Scratch::*member, std::size_t count) {
            this->*member = arena_.take<float>(count);
          });
}

}  // namespace switchyard::runtime
