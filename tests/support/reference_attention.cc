// Attention of the reference decoder, and rotary positions by the wavelengths of their papers.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "support/reference_parts.h"

namespace switchyard::testing_support::reference {
namespace {

Vector head_norm(const Weights& w, const ModelConfig& c, const std::string& name, const Vector& x) {
  const Vector weight = w.get(name);
  Vector y;
  for (std::size_t at = 0; at < x.size(); at += weight.size()) {
    const Vector part(x.begin() + static_cast<std::ptrdiff_t>(at),
                      x.begin() + static_cast<std::ptrdiff_t>(at + weight.size()));
    const Vector normed = rms_norm(part, weight, c.norm_epsilon);
    y.insert(y.end(), normed.begin(), normed.end());
  }
  return y;
}

// Tokens that one wave of pair i of `dims` rotated elements spans, before and after scaling.
double wavelength(const ModelConfig& c, std::size_t i, double dims) {
  const RopeScaling& s = c.rope_scaling;
  const double theta = c.rope_theta, pair = static_cast<double>(i);
  const double plain = 2 * M_PI * std::pow(theta, 2 * pair / dims);
  const double original = s.original_context;
  switch (s.kind) {
    case RopeKind::plain:
      return plain;
    case RopeKind::linear:
      return plain * s.factor;
    case RopeKind::dynamic: {
      double grown = 1;
      if (s.alpha > 0) {
        grown = s.alpha;
      } else if (c.context > original) {
        grown = s.factor * c.context / original - (s.factor - 1);
      }
      return 2 * M_PI * std::pow(theta * std::pow(grown, dims / (dims - 2)), 2 * pair / dims);
    }
    case RopeKind::llama3: {
      if (plain < original / s.high_frequency_factor) return plain;
      if (plain > original / s.low_frequency_factor) return plain * s.factor;
      const double smooth = (original / plain - s.low_frequency_factor) /
                            (s.high_frequency_factor - s.low_frequency_factor);
      return 1 / ((1 - smooth) / (plain * s.factor) + smooth / plain);
    }
    case RopeKind::yarn: {
      // The pair whose wave fits beta times into the original context.
      const auto pair_of = [&](double beta) {
        return dims / 2 * std::log(original / (2 * M_PI * beta)) / std::log(theta);
      };
      double low = pair_of(s.beta_fast), high = pair_of(s.beta_slow);
      if (s.truncate) {
        low = std::floor(low);
        high = std::ceil(high);
      }
      low = std::max(low, 0.0);
      high = std::min(high, dims - 1);
      const double ramp = high > low    ? std::min(1.0, std::max(0.0, (pair - low) / (high - low)))
                          : pair <= low ? 0.0
                                        : 1.0;
      return 1 / (ramp / (plain * s.factor) + (1 - ramp) / plain);
    }
  }
  throw std::logic_error("rope kind");
}

double yarn_m(const ModelConfig& c, double scale) {
  return 0.1 * scale * std::log(static_cast<double>(c.rope_scaling.factor)) + 1;
}

// What rotated elements grow by.
double rope_growth(const ModelConfig& c) {
  const RopeScaling& s = c.rope_scaling;
  if (s.kind != RopeKind::yarn) return 1;
  if (s.attention_factor > 0) return s.attention_factor;
  const bool both = s.mscale > 0 && s.mscale_all_dim > 0;
  return both ? yarn_m(c, s.mscale) / yarn_m(c, s.mscale_all_dim) : yarn_m(c, 1);
}

// Elements [at, at + dims) of x; `adjacent`: pairs stand side by side instead of half of it apart.
void rotate_part(const ModelConfig& c, Vector& x, std::size_t at, std::size_t dims,
                 std::size_t position, bool adjacent) {
  for (std::size_t i = 0; i < dims / 2; ++i) {
    const double angle =
        static_cast<double>(position) * 2 * M_PI / wavelength(c, i, static_cast<double>(dims));
    double& first = x[adjacent ? at + 2 * i : at + i];
    double& second = x[adjacent ? at + 2 * i + 1 : at + i + dims / 2];
    const double a = first, b = second;
    first = (a * std::cos(angle) - b * std::sin(angle)) * rope_growth(c);
    second = (b * std::cos(angle) + a * std::sin(angle)) * rope_growth(c);
  }
}

void rotate(const ModelConfig& c, Vector& x, std::size_t position) {
  const auto head_dim = static_cast<std::size_t>(c.head_dim);
  for (std::size_t at = 0; at < x.size(); at += head_dim) {
    rotate_part(c, x, at, head_dim, position, false);
  }
}

// One head's query, key_dim elements from `from_q` on, against all keys from token `first` on; adds
// to `mixed` from `from_mixed` on.
struct HeadPlace {
  std::size_t from_q, from_key, from_value, from_mixed, key_dim, value_dim;
};
void mix(const Vector& q, const Past& past, const HeadPlace& at, double scale, std::size_t first,
         Vector& mixed, double sink = -INFINITY) {
  Vector weight(past.keys.size(), 0.0);
  double sum = std::exp(sink);
  for (std::size_t t = first; t < weight.size(); ++t) {
    double dot = 0;
    for (std::size_t i = 0; i < at.key_dim; ++i) {
      dot += q[at.from_q + i] * past.keys[t][at.from_key + i];
    }
    weight[t] = std::exp(dot * scale);
    sum += weight[t];
  }
  for (std::size_t t = first; t < weight.size(); ++t) {
    for (std::size_t i = 0; i < at.value_dim; ++i) {
      mixed[at.from_mixed + i] += weight[t] / sum * past.values[t][at.from_value + i];
    }
  }
}

Vector part_of(const Vector& x, std::size_t begin, std::size_t count) {
  const auto first = x.begin() + static_cast<std::ptrdiff_t>(begin);
  return {first, first + static_cast<std::ptrdiff_t>(count)};
}

// Latent attention the long way: keys and values of every head are made from the latent vector and
// kept.
Vector latent_attention(const Weights& w, const ModelConfig& c, int l, const Vector& x,
                        Past& past) {
  const WeightNames names(c.family);
  const MlaConfig& mla = *c.mla;
  constexpr double kEpsilon = 1e-6;
  const auto heads = static_cast<std::size_t>(c.heads);
  const auto nope = static_cast<std::size_t>(mla.nope_dim);
  const auto rope = static_cast<std::size_t>(mla.rope_dim);
  const auto value = static_cast<std::size_t>(mla.value_dim);
  const auto rank = static_cast<std::size_t>(mla.kv_rank);
  const std::size_t position = past.keys.size();

  Vector q;
  if (mla.q_rank > 0) {
    const Vector low = times(w.get(names.layer(l, "q_a")), x);
    q = times(w.get(names.layer(l, "q_b")),
              rms_norm(low, w.get(names.layer(l, "q_a_norm")), kEpsilon));
  } else {
    q = times(w.get(names.layer(l, "q")), x);
  }
  const Vector compressed = times(w.get(names.layer(l, "kv_a")), x);
  Vector shared_key = part_of(compressed, rank, rope);
  rotate_part(c, shared_key, 0, rope, position, mla.interleaved);
  const Vector expanded =
      times(w.get(names.layer(l, "kv_b")),
            rms_norm(part_of(compressed, 0, rank), w.get(names.layer(l, "kv_a_norm")), kEpsilon));
  Vector keys, values;
  for (std::size_t h = 0; h < heads; ++h) {
    rotate_part(c, q, h * (nope + rope) + nope, rope, position, mla.interleaved);
    const Vector key = part_of(expanded, h * (nope + value), nope);
    const Vector head_value = part_of(expanded, h * (nope + value) + nope, value);
    keys.insert(keys.end(), key.begin(), key.end());
    keys.insert(keys.end(), shared_key.begin(), shared_key.end());
    values.insert(values.end(), head_value.begin(), head_value.end());
  }
  past.keys.push_back(keys);
  past.values.push_back(values);

  double scale = 1 / std::sqrt(static_cast<double>(nope + rope));
  if (c.rope_scaling.kind == RopeKind::yarn && c.rope_scaling.mscale_all_dim > 0) {
    const double m = yarn_m(c, c.rope_scaling.mscale_all_dim);
    scale *= m * m;
  }
  Vector mixed(heads * value, 0.0);
  for (std::size_t h = 0; h < heads; ++h) {
    mix(q, past,
        {.from_q = h * (nope + rope),
         .from_key = h * (nope + rope),
         .from_value = h * value,
         .from_mixed = h * value,
         .key_dim = nope + rope,
         .value_dim = value},
        scale, 0, mixed);
  }
  return times(w.get(names.layer(l, "o")), mixed);
}

Vector grouped_attention(const Weights& w, const ModelConfig& c, int l, const Vector& x,
                         Past& past) {
  const WeightNames names(c.family);
  Vector q = times(w.get(names.layer(l, "q")), x);
  Vector k = times(w.get(names.layer(l, "k")), x);
  Vector v = times(w.get(names.layer(l, "v")), x);
  if (c.attention_bias) {
    add(q, w.get(names.layer(l, "q_bias")));
    add(k, w.get(names.layer(l, "k_bias")));
    add(v, w.get(names.layer(l, "v_bias")));
  }
  if (c.qk_norm != QkNorm::none) {
    q = head_norm(w, c, names.layer(l, "q_norm"), q);
    k = head_norm(w, c, names.layer(l, "k_norm"), k);
  }
  rotate(c, q, past.keys.size());
  rotate(c, k, past.keys.size());
  past.keys.push_back(k);
  past.values.push_back(v);
  const auto head_dim = static_cast<std::size_t>(c.head_dim);
  Vector mixed(q.size(), 0.0);
  const Vector sinks = c.attention_sinks ? w.get(names.layer(l, "sinks")) : Vector{};
  const std::size_t seen = past.keys.size();
  const bool windowed = c.sliding_window > 0 && c.layer_is_windowed[static_cast<std::size_t>(l)];
  const auto window = static_cast<std::size_t>(c.sliding_window);
  const std::size_t first = windowed && seen > window ? seen - window : 0;
  for (int h = 0; h < c.heads; ++h) {
    const std::size_t from_q = static_cast<std::size_t>(h) * head_dim;
    const std::size_t from_kv = static_cast<std::size_t>(h / (c.heads / c.kv_heads)) * head_dim;
    mix(q, past,
        {.from_q = from_q,
         .from_key = from_kv,
         .from_value = from_kv,
         .from_mixed = from_q,
         .key_dim = head_dim,
         .value_dim = head_dim},
        1 / std::sqrt(static_cast<double>(head_dim)), first, mixed,
        c.attention_sinks ? sinks[static_cast<std::size_t>(h)] : -INFINITY);
  }
  if (c.attention_output_bias) {
    Vector y = times(w.get(names.layer(l, "o")), mixed);
    add(y, w.get(names.layer(l, "o_bias")));
    return y;
  }
  return times(w.get(names.layer(l, "o")), mixed);
}

}  // namespace

Vector attention(const Weights& w, const ModelConfig& c, int l, const Vector& x, Past& past) {
  return c.mla ? latent_attention(w, c, l, x, past) : grouped_attention(w, c, l, x, past);
}

}  // namespace switchyard::testing_support::reference
