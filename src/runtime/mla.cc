// Multi-head latent attention (DeepSeek-V2, section 2.1) on the compressed cache.
//
// What is cached of a token is its latent vector c and one rotated key r for all heads. Keys and
// values are never expanded: with k_h = K_h c and v_h = V_h c,
//
//   score_h = q_h . k_h + q'_h . r = [K_h^T q_h, q'_h] . [c, r]
//   output_h = sum_t p_t V_h c_t = V_h (sum_t p_t c_t)
//
// so each head attends over the cached rows themselves, and K_h^T and V_h are applied once to a
// query and once to its result.
#include <cstring>
#include <vector>

#include "runtime/blocked_attention.h"
#include "runtime/run.h"

namespace switchyard::runtime {
namespace {

// Rotates one rope part in place. Pairs that stand side by side are moved half the width apart,
// where the kernel turns them; queries and keys alike, so scores do not notice.
void rotate(const Model::Impl& m, float* x, int position, std::vector<float>& apart) {
  const auto dims = static_cast<std::size_t>(m.config.mla->rope_dim);
  if (m.config.mla->interleaved) {
    apart.assign(x, x + dims);
    for (std::size_t i = 0; i < dims / 2; ++i) {
      x[i] = apart[2 * i];
      x[i + dims / 2] = apart[2 * i + 1];
    }
  }
  m.kernels->rope(x, m.rope.cosines(position).data(), m.rope.sines(position).data(), dims);
}

struct Widths {
  explicit Widths(const ModelConfig& c)
      : heads(static_cast<std::size_t>(c.heads)),
        head(static_cast<std::size_t>(c.head_dim)),
        nope(static_cast<std::size_t>(c.mla->nope_dim)),
        rank(static_cast<std::size_t>(c.mla->kv_rank)),
        cached(static_cast<std::size_t>(c.mla->cached_width())),
        value(static_cast<std::size_t>(c.mla->value_dim)) {}

  std::size_t heads, head, nope, rank, cached, value;
};

// Queries, still [N, H, head_dim], and the row to be cached, [N, kv_rank + rope_dim].
void project(Run& run, const LayerWeights& w, int layer) {
  const Model::Impl& m = run.model;
  Scratch& s = run.scratch;
  const std::size_t n = run.size();
  const bool two = w.q_a.data != nullptr;
  const Product first[] = {{w.kv_a, s.normed.data(), n, s.latent.data()},
                           two ? Product{w.q_a, s.normed.data(), n, s.q_low.data()}
                               : Product{w.q, s.normed.data(), n, s.q.data()}};
  multiply(run, first);
  const WeightNames names(m.config.family);
  if (wants_inputs(run)) {
    report_input(run, names.layer(layer, "kv_a"), first[0]);
    report_input(run, names.layer(layer, two ? "q_a" : "q"), first[1]);
  }
  if (!two) return;
  const std::size_t rank = w.q_a_norm.size();
  for (std::size_t i = 0; i < n; ++i) {
    float* row = s.q_low.data() + i * rank;
    m.kernels->rms_norm(row, w.q_a_norm.data(), MlaConfig::kNormEpsilon, row, rank);
  }
  const Product second{w.q, s.q_low.data(), n, s.q.data()};
  multiply(run, second);
  if (wants_inputs(run)) report_input(run, names.layer(layer, "q_b"), second);
}

// kv_b is applied in two parts to other vectors (see above); what it is made for are the normalised
// latent vectors.
void report_latents(const Run& run, int layer) {
  const Widths d(run.model.config);
  run.options.on_input({.weight = WeightNames(run.model.config.family).layer(layer, "kv_b"),
                        .x = run.scratch.latent.data(),
                        .rows = run.size(),
                        .columns = d.rank,
                        .stride = d.cached});
}

// Norm and rotation of token i, its row into the cache, and the parts of its queries that are not
// rotated to where K^T reads them, [H, N, nope_dim].
void finish_projection(Run& run, const LayerWeights& w, int layer, std::size_t i,
                       std::vector<float>& apart) {
  const Model::Impl& m = run.model;
  const Widths d(m.config);
  Scratch& s = run.scratch;
  const RunToken& token = run.tokens[i];
  float* row = s.latent.data() + i * d.cached;
  m.kernels->rms_norm(row, w.kv_a_norm.data(), MlaConfig::kNormEpsilon, row, d.rank);
  rotate(m, row + d.rank, token.position, apart);
  token.session->cache.put_latent(*m.kernels, layer, token.position, row);
  for (std::size_t h = 0; h < d.heads; ++h) {
    float* q = s.q.data() + (i * d.heads + h) * d.head;
    rotate(m, q + d.nope, token.position, apart);
    std::memcpy(s.head_rows.data() + (h * run.size() + i) * d.nope, q, d.nope * sizeof(float));
  }
}

// Every head's own block of a matrix that holds them one after the other, times its rows.
void multiply_heads(Run& run, const kernels::Matrix& weight, std::span<const float> x,
                    std::span<float> y) {
  const Model::Impl& m = run.model;
  const auto heads = static_cast<std::size_t>(m.config.heads);
  const std::size_t n = run.size();
  const std::size_t rows = weight.rows / heads;
  const auto bytes = dtype_bytes(weight.type, weight.columns * rows);
  std::vector<Product> products;
  for (std::size_t h = 0; h < heads; ++h) {
    const kernels::Matrix block{weight.type,
                                static_cast<const std::byte*>(weight.data) + h * bytes.value(),
                                rows, weight.columns};
    products.push_back({block, x.data() + h * n * weight.columns, n, y.data() + h * n * rows});
  }
  multiply(run, products);
}

// [H, N, value_dim] to [N, H, value_dim].
void join_heads(Run& run) {
  const Widths d(run.model.config);
  Scratch& s = run.scratch;
  const std::size_t n = run.size();
  for (std::size_t h = 0; h < d.heads; ++h) {
    for (std::size_t i = 0; i < n; ++i) {
      std::memcpy(s.mixed.data() + (i * d.heads + h) * d.value,
                  s.head_rows.data() + (h * n + i) * d.value, d.value * sizeof(float));
    }
  }
}

}  // namespace

void run_latent_attention(Run& run, int layer) {
  const Model::Impl& m = run.model;
  const LayerWeights& w = m.weights.layers[static_cast<std::size_t>(layer)];
  const Widths d(m.config);
  Scratch& s = run.scratch;
  const std::size_t n = run.size();

  normalise_rows(run, s.x, w.input_norm, s.normed);
  project(run, w, layer);
  // Every row of the run is cached before the first query looks: tokens of one sequence see each
  // other.
  spread(run.threads, n, n * d.heads * d.head, [&](std::size_t begin, std::size_t end) {
    std::vector<float> apart;
    for (std::size_t i = begin; i < end; ++i) finish_projection(run, w, layer, i, apart);
  });
  if (wants_inputs(run)) report_latents(run, layer);
  multiply_heads(run, w.key_up, s.head_rows, s.head_latents);
  // Head h of token i: its row of head_latents goes from K^T q to the mixed latent vector.
  attend_to_caches(run, layer, [&](std::size_t i, std::size_t h) {
    const auto latent = s.head_latents.subspan((h * n + i) * d.rank, d.rank);
    const auto rotated = s.q.subspan((i * d.heads + h) * d.head + d.nope, d.head - d.nope);
    return HeadQuery{.first = latent, .second = rotated, .out = latent.data()};
  });
  multiply_heads(run, w.value_up, s.head_latents, s.head_rows);
  join_heads(run);
  const Product output{w.o, s.mixed.data(), n, s.block.data()};
  multiply(run, output);
  if (wants_inputs(run)) {
    report_input(run, WeightNames(m.config.family).layer(layer, "o"), output);
  }
}

}  // namespace switchyard::runtime
