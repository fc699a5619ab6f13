// The MoE layer: route -> dispatch -> fetch -> compute -> combine.
//
// The router's decision is made first and never changes; the expert cache then hands out experts in
// whatever order their bytes arrive. Every expert writes rows of its own, which are combined in the
// decision's order at the end: so the result does not depend on budget, policy, prefetch, threads
// or waves.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "runtime/matmul.h"
#include "runtime/run.h"

namespace switchyard::runtime {
namespace {

// The matrices of one expert, as they lie in its slab.
FfnWeights expert_weights(const std::vector<experts::Part>& parts, const experts::Pin& pin) {
  FfnWeights ffn;
  for (const experts::Part& part : parts) {
    const auto bytes = pin.part(part.extent).subspan(part.offset, part.bytes);
    const kernels::Matrix matrix{part.dtype, bytes.data(), static_cast<std::size_t>(part.shape[0]),
                                 static_cast<std::size_t>(part.shape[1])};
    (part.name == "gate" ? ffn.gate : part.name == "up" ? ffn.up : ffn.down) = matrix;
  }
  return ffn;
}

void route_by(Run& run, int layer, std::span<float> logits, routing::State& state,
              routing::Decision& decision) {
  const Model::Impl& m = run.model;
  const LayerWeights& w = m.weights.layers[static_cast<std::size_t>(layer)];
  const routing::Config& router = m.router;
  const std::size_t n = run.size();
  const auto width = static_cast<std::size_t>(routing::router_width(router));
  state.seed = router.seed;
  state.layer = static_cast<std::uint32_t>(layer);
  router_logits(run, w, state, logits);
  routing::route_into(router,
                      {.logits = logits.first(n * width),
                       .selection_bias = w.selection_bias,
                       .token_ids = run.token_ids,
                       .item_ids = run.positions,
                       .items = n,
                       .experts_per_token = m.experts_per_token[static_cast<std::size_t>(layer)]},
                      state, decision);
}

// Replaces the decision of every token that has a forced route.
void apply_forced_routes(Run& run, int layer, routing::Decision& decision) {
  if (std::ranges::none_of(run.tokens, [](const RunToken& t) { return t.forced != nullptr; }))
    return;
  routing::Decision merged;
  merged.experts = decision.experts;
  merged.counts.assign(static_cast<std::size_t>(decision.experts), 0);
  merged.offsets.push_back(0);
  for (std::size_t n = 0; n < run.size(); ++n) {
    const RunToken& token = run.tokens[n];
    const bool forced = token.forced != nullptr;
    const routing::Decision& source =
        forced ? (*token.forced)[static_cast<std::size_t>(layer)] : decision;
    const std::size_t item = forced ? token.forced_item : n;
    for (std::uint32_t a = source.offsets[item]; a < source.offsets[item + 1]; ++a) {
      merged.expert.push_back(source.expert[a]);
      merged.weight.push_back(source.weight[a]);
      ++merged.counts[static_cast<std::size_t>(source.expert[a])];
    }
    merged.offsets.push_back(static_cast<std::uint32_t>(merged.expert.size()));
  }
  decision = std::move(merged);
}

// One-layer-ahead guess: the next layer's router on this layer's input (the "stale gate"), a
// recurrent one with a step from a copy of this layer's state. A guess moves bytes earlier and
// changes nothing else.
void prefetch_next_layer(Run& run, int layer) {
  const Model::Impl& m = run.model;
  const int next = m.next_moe_layer[static_cast<std::size_t>(layer)];
  if (next < 0 || m.options.prefetch != Prefetch::stale_gate ||
      m.plan.experts >= m.plan.full_experts)
    return;
  const LayerWeights& w = m.weights.layers[static_cast<std::size_t>(next)];
  if (w.router.data == nullptr) return;
  run.guess_state = run.router_state;
  route_by(run, next, run.scratch.next_logits, run.guess_state, run.guess);
  run.active.clear();
  for (std::uint32_t e = 0; e < run.guess.counts.size(); ++e) {
    if (run.guess.counts[e] > 0) run.active.push_back(e);
  }
  // The most wanted first: with many tokens there is no room for all.
  std::ranges::stable_sort(run.active, [&](std::uint32_t a, std::uint32_t b) {
    return run.guess.counts[a] > run.guess.counts[b];
  });
  m.cache->prefetch(static_cast<std::uint32_t>(next), run.active);
}

// Whether all gates and ups of a layer take rows rounded to 8 bits.
bool takes_rounded_rows(const std::vector<std::vector<experts::Part>>& experts) {
  return std::ranges::all_of(experts, [](const std::vector<experts::Part>& parts) {
    return std::ranges::all_of(parts, [](const experts::Part& part) {
      return part.name == "down" || kernels::is_quantised_weight(part.dtype);
    });
  });
}

// The rows of x that the experts see, in the plan's order: [A, D], or [A, q8_row_bytes(D)] in the
// same memory. A token is rounded once, not once for each of its experts.
void gather_rows(Run& run, bool rounded) {
  const kernels::KernelSet& kernels = *run.model.kernels;
  const auto d = static_cast<std::size_t>(run.model.config.width);
  Scratch& s = run.scratch;
  if (rounded) {
    spread(run.threads, run.size(), run.size() * d, [&](std::size_t begin, std::size_t end) {
      for (std::size_t n = begin; n < end; ++n)
        kernels.to_q8(s.normed.data() + n * d, d, rounded_row(run, n, d));
    });
  }
  const std::size_t bytes = rounded ? kernels::q8_row_bytes(d) : d * sizeof(float);
  const std::byte* from = rounded ? rounded_row(run, 0, d) : std::as_bytes(s.normed).data();
  std::byte* const to = std::as_writable_bytes(s.expert_in).data();
  spread(run.threads, run.plan.rows(), run.plan.rows() * d,
         [&](std::size_t begin, std::size_t end) {
           for (std::size_t r = begin; r < end; ++r)
             std::memcpy(to + r * bytes, from + run.plan.row_item[r] * bytes, bytes);
         });
}

// `in` has up and, where there is one, gate of each expert, `out` its down.
void report_expert_inputs(const Run& run, int layer, std::span<const std::size_t> positions,
                          std::span<const Product> in, std::span<const Product> out) {
  const WeightNames names(run.model.config.family);
  const std::size_t each = in.size() / out.size();
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto expert = static_cast<int>(run.active[positions[i]]);
    report_input(run, names.expert(layer, expert, "up"), in[i * each]);
    if (each == 2) report_input(run, names.expert(layer, expert, "gate"), in[i * each + 1]);
    report_input(run, names.expert(layer, expert, "down"), out[i]);
  }
}

// Computes the rows of some experts: all gates and ups, then the activations, then all downs, so
// that a group of small experts costs three barriers instead of three each. Rows for a quantised
// down are rounded by whoever made them.
void compute_experts(Run& run, int layer, bool rounded_rows, std::span<const std::size_t> positions,
                     std::span<const experts::Pin> pins) {
  const Model::Impl& m = run.model;
  const FfnConfig& ffn = m.config.moe->expert;
  const auto d = static_cast<std::size_t>(m.config.width);
  // Rows lie at multiples of the largest width; a narrower expert fills the front of its place.
  const auto f = static_cast<std::size_t>(ffn.hidden);
  const auto& biases = m.weights.layers[static_cast<std::size_t>(layer)].expert_bias;
  const std::byte* const rows_in = std::as_bytes(run.scratch.expert_in).data();
  Scratch& s = run.scratch;
  struct Row {
    std::uint32_t expert;
    std::size_t index;  // in the plan
    std::size_t width;
    std::byte* rounded;  // null: not wanted
  };
  std::vector<Product> in, out;
  std::vector<Row> hidden;
  std::size_t values = 0;
  std::byte* rounded = rounded_row(run, 0, d);
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const std::uint32_t expert = run.active[positions[i]];
    const FfnWeights w =
        expert_weights(m.experts.parts[static_cast<std::size_t>(layer)][expert], pins[i]);
    const std::size_t first = run.plan.expert_begin[expert];
    const std::size_t rows = run.plan.expert_begin[expert + 1] - first;
    const float* x = s.expert_in.data() + first * d;
    const std::byte* x_rounded =
        rounded_rows ? rows_in + first * kernels::q8_row_bytes(d) : nullptr;
    in.push_back({w.up, x, rows, s.expert_up.data() + first * f, x_rounded});
    if (ffn.gated) in.push_back({w.gate, x, rows, s.expert_gate.data() + first * f, x_rounded});
    const bool round = kernels::is_quantised_weight(w.down.type);
    out.push_back({w.down, s.expert_up.data() + first * f, rows, s.expert_out.data() + first * d,
                   round ? rounded : nullptr});
    for (std::size_t r = 0; r < rows; ++r) {
      hidden.push_back({expert, first + r, w.up.rows, round ? rounded : nullptr});
      if (round) rounded += kernels::q8_row_bytes(w.up.rows);
    }
    values += rows * w.up.rows;
  }
  multiply(run, in);
  spread(run.threads, hidden.size(), values * kActivationWork,
         [&](std::size_t begin, std::size_t end) {
           for (std::size_t i = begin; i < end; ++i) {
             const Row& row = hidden[i];
             // A narrow expert's rows follow each other without gaps in the front of its place.
             const std::size_t first = run.plan.expert_begin[row.expert];
             const std::size_t at = first * f + (row.index - first) * row.width;
             float* const gate = s.expert_gate.data() + at;
             float* const up = s.expert_up.data() + at;
             if (!biases.empty()) {
               if (ffn.gated) add_bias({gate, row.width}, biases[row.expert].gate);
               add_bias({up, row.width}, biases[row.expert].up);
             }
             activate(*m.kernels, ffn, gate, up, row.width);
             if (row.rounded != nullptr) m.kernels->to_q8(up, row.width, row.rounded);
           }
         });
  multiply(run, out);
  if (wants_inputs(run)) report_expert_inputs(run, layer, positions, in, out);
  for (std::size_t i = 0; !biases.empty() && i < positions.size(); ++i) {
    const std::uint32_t expert = run.active[positions[i]];
    add_bias_to_rows(s.expert_out.subspan(run.plan.expert_begin[expert] * d, out[i].rows * d),
                     biases[expert].down);
  }
}

// block += (gate of the shared expert) * shared expert(normed)
void add_shared_expert(Run& run, int layer) {
  const Model::Impl& m = run.model;
  const LayerWeights& w = m.weights.layers[static_cast<std::size_t>(layer)];
  Scratch& s = run.scratch;
  const std::size_t n = run.size();
  const auto d = static_cast<std::size_t>(m.config.width);
  FfnConfig ffn = m.config.moe->expert;
  ffn.hidden = m.config.moe->shared_hidden;
  // The rows of the routed experts are combined by now, so their memory is free for the result.
  const std::span<float> shared = s.expert_in.first(n * d);
  run_ffn(run, *w.shared, ffn, s.normed, shared);
  if (wants_inputs(run)) {
    report_ffn_inputs(run, *w.shared, s.normed, [&](std::string_view part) {
      return WeightNames(m.config.family).shared_expert(layer, part);
    });
  }
  std::ranges::fill(s.shared_scale, 1.0F);
  if (w.shared_gate.data != nullptr) {
    multiply(run, {w.shared_gate, s.normed.data(), n, s.shared_scale.data()});
    for (std::size_t i = 0; i < n; ++i)
      s.shared_scale[i] = 1.0F / (1.0F + std::exp(-s.shared_scale[i]));
  }
  for (std::size_t i = 0; i < n; ++i) {
    m.kernels->axpy(s.shared_scale[i], shared.data() + i * d, s.block.data() + i * d, d);
  }
}

}  // namespace

void run_moe(Run& run, int layer) {
  const Model::Impl& m = run.model;
  const LayerWeights& w = m.weights.layers[static_cast<std::size_t>(layer)];
  Scratch& s = run.scratch;
  const std::size_t n = run.size();
  const auto d = static_cast<std::size_t>(m.config.width);

  normalise_rows(run, s.x, w.post_norm, s.normed);
  route_by(run, layer, s.router_logits, run.router_state, run.decision);
  apply_forced_routes(run, layer, run.decision);
  if (run.options.on_route) {
    const auto width = static_cast<std::size_t>(routing::router_width(m.router));
    run.options.on_route({.layer = layer,
                          .first_token = run.first_token,
                          .decision = &run.decision,
                          .logits = s.router_logits.first(n * width)});
  }
  prefetch_next_layer(run, layer);

  dispatch::make_plan_into(run.decision, run.plan);
  SWITCHYARD_CHECK(run.plan.rows() * d <= s.expert_in.size());
  const bool rounded = m.quantised && !wants_inputs(run) &&
                       takes_rounded_rows(m.experts.parts[static_cast<std::size_t>(layer)]);
  gather_rows(run, rounded);
  run.active.assign(run.plan.active.begin(), run.plan.active.end());
  m.cache->acquire_each(
      static_cast<std::uint32_t>(layer), run.active,
      [&](std::span<const std::size_t> positions, std::span<const experts::Pin> pins) {
        compute_experts(run, layer, rounded, positions, pins);
      },
      run.options.stop);
  spread(run.threads, n, run.plan.rows() * d, [&](std::size_t begin, std::size_t end) {
    dispatch::combine(run.decision, run.plan, s.expert_out.first(run.plan.rows() * d), d,
                      s.block.first(n * d), begin, end);
  });
  if (w.shared) add_shared_expert(run, layer);
  add_block(run);
}

}  // namespace switchyard::runtime
