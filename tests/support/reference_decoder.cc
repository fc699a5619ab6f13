#include "support/reference_decoder.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "switchyard/model_config.h"
#include "switchyard/routing.h"

#include "support/reference_parts.h"

namespace switchyard::testing_support {
namespace {

using namespace reference;

double activate(Activation activation, double x) {
  switch (activation) {
    case Activation::silu:
      return x / (1.0 + std::exp(-x));
    case Activation::gelu:
      return 0.5 * x * (1.0 + std::erf(x / std::sqrt(2.0)));
    case Activation::gelu_tanh:
      return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
    case Activation::relu:
      return x > 0 ? x : 0;
  }
  throw std::logic_error("activation");
}

template <class Name>
Vector ffn(const Weights& w, const FfnConfig& config, const Name& name, const Vector& x,
           bool bias = false) {
  Vector hidden = times(w.get(name("up")), x);
  if (bias) add(hidden, w.get(name("up_bias")));
  if (config.gated) {
    Vector gate = times(w.get(name("gate")), x);
    if (bias) add(gate, w.get(name("gate_bias")));
    for (std::size_t i = 0; i < hidden.size(); ++i) {
      if (config.clamped) {
        const double g = std::min(gate[i], 7.0), u = std::max(-7.0, std::min(hidden[i], 7.0));
        hidden[i] = (u + 1) * g / (1 + std::exp(-1.702 * g));
      } else {
        hidden[i] *= activate(config.activation, gate[i]);
      }
    }
  } else {
    for (double& h : hidden) h = activate(config.activation, h);
  }
  Vector y = times(w.get(name("down")), hidden);
  if (bias) add(y, w.get(name("down_bias")));
  return y;
}

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// The recurrent router's cell as torch has it: blocks r, z, n; the reset gate multiplies the
// recurrent term with its bias.
void router_cell(const Weights& w, const ModelConfig& c, const Vector& x, Vector& h) {
  const WeightNames names(c.family);
  Vector from_x = times(w.get(names.router_cell("weight_ih")), x);
  Vector from_h = times(w.get(names.router_cell("weight_hh")), h);
  add(from_x, w.get(names.router_cell("bias_ih")));
  add(from_h, w.get(names.router_cell("bias_hh")));
  const std::size_t p = h.size();
  for (std::size_t i = 0; i < p; ++i) {
    if (c.moe->router.cell == routing::Cell::rnn) {
      h[i] = std::tanh(from_x[i] + from_h[i]);
      continue;
    }
    const double reset = sigmoid(from_x[i] + from_h[i]);
    const double keep = sigmoid(from_x[p + i] + from_h[p + i]);
    const double fresh = std::tanh(from_x[2 * p + i] + reset * from_h[2 * p + i]);
    h[i] = keep * h[i] + (1.0 - keep) * fresh;
  }
}

// `state`: of a recurrent router, of this token, from layer to layer.
Vector router_logits(const Weights& w, const ModelConfig& c, int l, const Vector& x,
                     Vector& state) {
  const WeightNames names(c.family);
  const routing::Config& router = c.moe->router;
  if (routing::router_width(router) == 0) return {};
  if (router.router_hidden == 0) {
    Vector logits = times(w.get(names.router(l)), x);
    if (c.moe->router_bias) add(logits, w.get(names.router_bias(l)));
    return logits;
  }
  Vector hidden = times(w.get(names.router_projection(l)), x);
  if (router.kind != routing::Kind::recurrent) {
    for (double& v : hidden) v = activate(Activation::gelu, v);
    return times(w.get(names.router(l)), hidden);
  }
  if (state.empty() || router.state_passing == routing::StatePassing::none) {
    state.assign(hidden.size(), 0.0);
  }
  router_cell(w, c, hidden, state);
  return times(w.get(names.router(l)), state);
}

Vector moe(const Weights& w, const ModelConfig& c, int l, const Vector& x, std::int32_t token,
           std::size_t position, Vector& router_state) {
  const WeightNames names(c.family);
  const MoeConfig& moe = *c.moe;
  const Vector exact = router_logits(w, c, l, x, router_state);
  const std::vector<float> logits(exact.begin(), exact.end());
  const std::vector<float> bias = moe.router.selection_bias
                                      ? w.tensors.read_f32(names.selection_bias(l))
                                      : std::vector<float>{};
  const std::uint64_t item = position;
  routing::State state{.seed = moe.router.seed, .layer = static_cast<std::uint32_t>(l)};
  const routing::Decision decision = routing::route(moe.router,
                                                    {.logits = logits,
                                                     .selection_bias = bias,
                                                     .token_ids = {&token, 1},
                                                     .item_ids = {&item, 1},
                                                     .items = 1},
                                                    state);
  Vector y(x.size(), 0.0);
  for (std::size_t a = 0; a < decision.assignments(); ++a) {
    const auto part = [&](std::string_view p) { return names.expert(l, decision.expert[a], p); };
    add(y, ffn(w, moe.ffn(decision.expert[a]), part, x, moe.expert_bias), decision.weight[a]);
  }
  if (moe.shared_hidden > 0) {
    const auto part = [&](std::string_view p) { return names.shared_expert(l, p); };
    const double scale =
        moe.shared_gate ? 1.0 / (1.0 + std::exp(-times(w.get(names.shared_gate(l)), x)[0])) : 1.0;
    add(y, ffn(w, moe.expert, part, x), scale);
  }
  return y;
}

}  // namespace

std::vector<double> reference_logits(FileSystem& fs, const std::string& directory,
                                     std::span<const std::int32_t> tokens) {
  const ModelConfig c = read_model_config(fs, directory);
  const WeightNames names(c.family);
  const Weights w(fs, directory);
  const Vector embedding = w.get(names.embedding());
  const Vector output = c.tied_embeddings ? embedding : w.get(names.output());
  const auto width = static_cast<std::ptrdiff_t>(c.width);
  std::vector<Past> past(static_cast<std::size_t>(c.layers));
  std::vector<double> logits;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    Vector x(embedding.begin() + tokens[t] * width, embedding.begin() + (tokens[t] + 1) * width);
    Vector router_state;
    for (int l = 0; l < c.layers; ++l) {
      const auto norm = [&](const char* part) {
        return rms_norm(x, w.get(names.layer(l, part)), c.norm_epsilon);
      };
      Past& layer_past = past[static_cast<std::size_t>(l)];
      const Vector input = norm("input_norm");
      add(x, attention(w, c, l, input, layer_past));
      const Vector normed = norm("post_norm");
      if (c.layer_is_moe[static_cast<std::size_t>(l)]) {
        add(x, moe(w, c, l, normed, tokens[t], t, router_state));
      } else {
        add(x, ffn(
                   w, c.dense, [&](std::string_view p) { return names.dense(l, p); }, normed));
      }
    }
    const Vector row = times(output, rms_norm(x, w.get(names.final_norm()), c.norm_epsilon));
    logits.insert(logits.end(), row.begin(), row.end());
  }
  return logits;
}

}  // namespace switchyard::testing_support
