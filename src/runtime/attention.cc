// Causal attention over the sessions' KV caches: the choice of its kind, and grouped queries.
#include "runtime/blocked_attention.h"
#include "runtime/run.h"

namespace switchyard::runtime {
namespace {

// Query-key norm over the whole row or over each head.
void normalise_heads(const Model::Impl& m, std::span<float> row, std::span<const float> weight) {
  const std::size_t step = weight.size();
  for (std::size_t i = 0; i < row.size(); i += step) {
    m.kernels->rms_norm(row.data() + i, weight.data(), m.config.norm_epsilon, row.data() + i, step);
  }
}

void rotate_heads(const Model::Impl& m, std::span<float> row, int position) {
  const auto head_dim = static_cast<std::size_t>(m.config.head_dim);
  for (std::size_t i = 0; i < row.size(); i += head_dim) {
    m.kernels->rope(row.data() + i, m.rope.cosines(position).data(), m.rope.sines(position).data(),
                    head_dim);
  }
}

// Biases, norms and rotation of token n, then its keys and values into the cache.
void finish_projection(Run& run, const LayerWeights& w, int layer, std::size_t n) {
  const Model::Impl& m = run.model;
  const auto q_width = static_cast<std::size_t>(m.config.q_width());
  const auto kv_width = static_cast<std::size_t>(m.config.kv_width());
  const auto head_dim = static_cast<std::size_t>(m.config.head_dim);
  const RunToken& token = run.tokens[n];
  const auto q = run.scratch.q.subspan(n * q_width, q_width);
  const auto k = run.scratch.k.subspan(n * kv_width, kv_width);
  const auto v = run.scratch.v.subspan(n * kv_width, kv_width);
  add_bias(q, w.q_bias);
  add_bias(k, w.k_bias);
  add_bias(v, w.v_bias);
  if (!w.q_norm.empty()) normalise_heads(m, q, w.q_norm);
  if (!w.k_norm.empty()) normalise_heads(m, k, w.k_norm);
  rotate_heads(m, q, token.position);
  rotate_heads(m, k, token.position);
  for (int h = 0; h < m.config.kv_heads; ++h) {
    const std::size_t at = static_cast<std::size_t>(h) * head_dim;
    token.session->cache.put(*m.kernels, layer, h, token.position, k.data() + at, v.data() + at);
  }
}

void report_inputs(const Run& run, int layer, std::span<const Product> qkv, const Product& o) {
  const WeightNames names(run.model.config.family);
  report_input(run, names.layer(layer, "q"), qkv[0]);
  report_input(run, names.layer(layer, "k"), qkv[1]);
  report_input(run, names.layer(layer, "v"), qkv[2]);
  report_input(run, names.layer(layer, "o"), o);
}

void run_grouped_attention(Run& run, int layer) {
  const Model::Impl& m = run.model;
  const LayerWeights& w = m.weights.layers[static_cast<std::size_t>(layer)];
  Scratch& s = run.scratch;
  const std::size_t n = run.size();

  normalise_rows(run, s.x, w.input_norm, s.normed);
  const Product projections[] = {{w.q, s.normed.data(), n, s.q.data()},
                                 {w.k, s.normed.data(), n, s.k.data()},
                                 {w.v, s.normed.data(), n, s.v.data()}};
  multiply(run, projections);
  // Every key of the run is in place before the first query looks: tokens of one sequence see each
  // other.
  spread(run.threads, n, n * static_cast<std::size_t>(m.config.q_width()),
         [&](std::size_t begin, std::size_t end) {
           for (std::size_t i = begin; i < end; ++i) finish_projection(run, w, layer, i);
         });
  const auto head_dim = static_cast<std::size_t>(m.config.head_dim);
  attend_to_caches(run, layer, [&](std::size_t i, std::size_t h) {
    const std::size_t at = i * static_cast<std::size_t>(m.config.q_width()) + h * head_dim;
    return HeadQuery{.first = s.q.subspan(at, head_dim), .out = s.mixed.data() + at};
  });
  const Product output{w.o, s.mixed.data(), n, s.block.data()};
  multiply(run, output);
  if (wants_inputs(run)) report_inputs(run, layer, projections, output);
  add_bias_to_rows(s.block.first(n * static_cast<std::size_t>(m.config.width)), w.o_bias);
}

}  // namespace

void run_attention(Run& run, int layer) {
  if (run.model.config.mla) {
    run_latent_attention(run, layer);
  } else {
    run_grouped_attention(run, layer);
  }
  add_block(run);
}

}  // namespace switchyard::runtime
