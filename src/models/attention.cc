#include "models/attention.h"

#include <cmath>
#include <limits>

#include <torch/version.h>

namespace switchyard::models {

RopeTable::RopeTable(std::int64_t tokens, std::int64_t head_dim, double theta,
                     const torch::TensorOptions& options) {
  const auto fp32 = torch::TensorOptions().dtype(torch::kFloat32).device(options.device());
  const auto exponent = torch::arange(0, head_dim, 2, fp32) / static_cast<double>(head_dim);
  const auto frequency = 1.0 / torch::pow(theta, exponent);
  const auto angle = torch::outer(torch::arange(tokens, fp32), frequency);
  cos = angle.cos().to(options.dtype());
  sin = angle.sin().to(options.dtype());
}

torch::Tensor apply_rope(const torch::Tensor& x, const RopeTable& rope) {
  const auto halves = x.chunk(2, -1);
  return torch::cat(
      {halves[0] * rope.cos - halves[1] * rope.sin, halves[1] * rope.cos + halves[0] * rope.sin},
      -1);
}

AttentionImpl::AttentionImpl(const ModelConfig& config)
    : heads_(config.heads),
      kv_heads_(config.kv_heads),
      head_dim_(config.head_dim),
      qk_norm_(config.qk_norm) {
  const std::int64_t width = config.width, q_width = config.q_width(), kv_width = config.kv_width();
  q = register_parameter("q", torch::empty({q_width, width}));
  k = register_parameter("k", torch::empty({kv_width, width}));
  v = register_parameter("v", torch::empty({kv_width, width}));
  o = register_parameter("o", torch::empty({width, q_width}));
  if (config.attention_bias) {
    q_bias = register_parameter("q_bias", torch::empty({q_width}));
    k_bias = register_parameter("k_bias", torch::empty({kv_width}));
    v_bias = register_parameter("v_bias", torch::empty({kv_width}));
  }
  if (qk_norm_ != QkNorm::none) {
    const bool per_head = qk_norm_ == QkNorm::per_head;
    q_norm =
        register_module("q_norm", RmsNorm(per_head ? head_dim_ : q_width, config.norm_epsilon));
    k_norm =
        register_module("k_norm", RmsNorm(per_head ? head_dim_ : kv_width, config.norm_epsilon));
  }
}

torch::Tensor AttentionImpl::project(const torch::Tensor& x, const torch::Tensor& weight,
                                     const torch::Tensor& bias, RmsNorm& norm, std::int64_t heads) {
  auto y = bias.defined() ? torch::linear(x, weight, bias) : torch::linear(x, weight);
  if (qk_norm_ == QkNorm::full && norm) y = norm->forward(y);
  y = y.view({x.size(0), x.size(1), heads, head_dim_});
  if (qk_norm_ == QkNorm::per_head && norm) y = norm->forward(y);
  return y.transpose(1, 2);  // [B, heads, T, head_dim]
}

torch::Tensor AttentionImpl::forward(const torch::Tensor& x, const RopeTable& rope) {
  const auto batch = x.size(0), tokens = x.size(1);
  RmsNorm no_norm{nullptr};
  const auto query = apply_rope(project(x, q, q_bias, q_norm, heads_), rope);
  const auto key = apply_rope(project(x, k, k_bias, k_norm, kv_heads_), rope);
  const auto value = project(x, v, v_bias, no_norm, kv_heads_);
  const auto group = heads_ / kv_heads_;

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 1)
  const auto repeat = [&](const torch::Tensor& t) {
    return group == 1 ? t : t.repeat_interleave(group, 1);
  };
  const auto mixed = at::scaled_dot_product_attention(query, repeat(key), repeat(value), {}, 0.0,
                                                      /*is_causal=*/true);
#else
  // The queries of a group stand one below the other, so that keys and values need not be repeated.
  const auto scale = 1.0 / std::sqrt(static_cast<double>(head_dim_));
  const auto grouped = (query * scale).reshape({batch, kv_heads_, group * tokens, head_dim_});
  const auto future = torch::ones({tokens, tokens}, x.options().dtype(torch::kBool)).triu(1);
  const auto scores = torch::matmul(grouped, key.transpose(2, 3))
                          .view({batch, kv_heads_, group, tokens, tokens})
                          .masked_fill(future, -std::numeric_limits<double>::infinity());
  const auto wide = x.scalar_type() == torch::kDouble ? torch::kDouble : torch::kFloat32;
  const auto share = torch::softmax(scores, -1, wide).to(x.scalar_type());
  const auto mixed = torch::matmul(share.view({batch, kv_heads_, group * tokens, tokens}), value)
                         .view({batch, heads_, tokens, head_dim_});
#endif
  return torch::linear(mixed.transpose(1, 2).reshape({batch, tokens, heads_ * head_dim_}), o);
}

}  // namespace switchyard::models
