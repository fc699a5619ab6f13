// Row-wise steps and the dense feed-forward network.
#include <algorithm>

#include "base/check.h"
#include "runtime/run.h"

namespace switchyard::runtime {

void normalise_rows(Run& run, std::span<const float> x, std::span<const float> weight,
                    std::span<float> y) {
  const std::size_t d = weight.size();
  spread(run.threads, run.size(), run.size() * d, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      run.model.kernels->rms_norm(x.data() + i * d, weight.data(), run.model.config.norm_epsilon,
                                  y.data() + i * d, d);
    }
  });
}

void add_block(Run& run) {
  const auto d = static_cast<std::size_t>(run.model.config.width);
  spread(run.threads, run.size(), run.size() * d, [&](std::size_t begin, std::size_t end) {
    run.model.kernels->axpy(1.0F, run.scratch.block.data() + begin * d,
                            run.scratch.x.data() + begin * d, (end - begin) * d);
  });
}

namespace {

// (u + 1) g sigmoid(a g) = silu(a g) (u + 1) / a.
void activate_clamped(const kernels::KernelSet& kernels, float* gate, float* up, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    gate[i] = std::min(gate[i], FfnConfig::kClamp) * FfnConfig::kSlope;
    up[i] = (std::clamp(up[i], -FfnConfig::kClamp, FfnConfig::kClamp) + 1.0F) / FfnConfig::kSlope;
  }
  kernels.silu(gate, up, up, n);
}

}  // namespace

void activate(const kernels::KernelSet& kernels, const FfnConfig& ffn, float* gate, float* up,
              std::size_t n) {
  const float* input = ffn.gated ? gate : up;
  const float* factor = ffn.gated ? up : nullptr;
  if (ffn.clamped) return activate_clamped(kernels, gate, up, n);
  switch (ffn.activation) {
    case Activation::silu:
      return kernels.silu(input, factor, up, n);
    case Activation::gelu:
      return kernels.gelu(input, factor, up, n);
    case Activation::gelu_tanh:
      return kernels.gelu_tanh(input, factor, up, n);
    case Activation::relu:
      return kernels.relu(input, factor, up, n);
  }
  SWITCHYARD_CHECK(false);
}

void run_ffn(Run& run, const FfnWeights& w, const FfnConfig& ffn, std::span<const float> in,
             std::span<float> out) {
  const std::size_t n = run.size();
  const auto hidden = static_cast<std::size_t>(ffn.hidden);
  Scratch& s = run.scratch;
  const Product up[] = {{w.up, in.data(), n, s.up.data()}, {w.gate, in.data(), n, s.gate.data()}};
  multiply(run, std::span(up).first(ffn.gated ? 2 : 1));
  // Whoever makes a row also rounds it, while it is in its cache.
  const bool round = kernels::is_quantised_weight(w.down.type);
  spread(run.threads, n, n * hidden * kActivationWork, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) {
      float* const row = s.up.data() + i * hidden;
      activate(*run.model.kernels, ffn, s.gate.data() + i * hidden, row, hidden);
      if (round) run.model.kernels->to_q8(row, hidden, rounded_row(run, i, hidden));
    }
  });
  multiply(run,
           {w.down, s.up.data(), n, out.data(), round ? rounded_row(run, 0, hidden) : nullptr});
}

void report_ffn_inputs(const Run& run, const FfnWeights& w, std::span<const float> in,
                       const std::function<std::string(std::string_view)>& name) {
  const Product up{w.up, in.data(), run.size(), nullptr};
  if (w.gate.data != nullptr) report_input(run, name("gate"), up);
  report_input(run, name("up"), up);
  report_input(run, name("down"), {w.down, run.scratch.up.data(), run.size(), nullptr});
}

void run_dense_ffn(Run& run, int layer) {
  const LayerWeights& w = run.model.weights.layers[static_cast<std::size_t>(layer)];
  normalise_rows(run, run.scratch.x, w.post_norm, run.scratch.normed);
  run_ffn(run, *w.dense, run.model.config.dense, run.scratch.normed, run.scratch.block);
  if (wants_inputs(run)) {
    report_ffn_inputs(run, *w.dense, run.scratch.normed, [&](std::string_view part) {
      return WeightNames(run.model.config.family).dense(layer, part);
    });
  }
  add_block(run);
}

}  // namespace switchyard::runtime
