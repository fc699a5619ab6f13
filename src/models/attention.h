// Causal grouped-query attention with rotary positions.
//
//   q, k, v = Wq x, Wk x, Wv x (+ bias);  q, k normalised if the config says so, then rotated
//   y = Wo . softmax(q k^T / sqrt(head_dim) + causal mask) v
//
// Query head h reads key/value head h / (H / kv_heads).
#pragma once

#include <torch/torch.h>

#include "switchyard/model_config.h"

#include "models/rms_norm.h"

namespace switchyard::models {

// Rotates halves as Hugging Face does: element i of a head pairs with i + head_dim / 2, angle =
// position * theta^(-2 i / head_dim). x [B, heads, T, head_dim]; positions 0 .. T-1. Angles are
// computed in fp32, as there.
torch::Tensor apply_rope(const torch::Tensor& x, double theta);

struct AttentionImpl : torch::nn::Module {
  explicit AttentionImpl(const ModelConfig& config);
  torch::Tensor forward(const torch::Tensor& x);  // [B, T, D] -> [B, T, D]

  torch::Tensor q, k, v, o;  // [H * head_dim, D], [kv * head_dim, D] twice, [D, H * head_dim]
  torch::Tensor q_bias, k_bias, v_bias;  // undefined: none
  RmsNorm q_norm{nullptr}, k_norm{nullptr};

 private:
  std::int64_t heads_, kv_heads_, head_dim_;
  double theta_;
  QkNorm qk_norm_;
};
TORCH_MODULE(Attention);

}  // namespace switchyard::models
