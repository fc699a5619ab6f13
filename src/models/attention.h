// Causal grouped-query attention with rotary positions.
//
//   q, k, v = Wq x, Wk x, Wv x (+ bias);  q, k normalised if the config says so, then rotated
//   y = Wo . softmax(q k^T / sqrt(head_dim) + causal mask) v
//
// Query head h reads key/value head h / (H / kv_heads).
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include "switchyard/model_config.h"

#include "models/rms_norm.h"

namespace switchyard::models {

// Cosines and sines of one pass: angle = position * theta^(-2 i / head_dim), positions 0 .. T-1,
// computed in fp32 as Hugging Face does.
struct RopeTable {
  RopeTable(std::int64_t tokens, std::int64_t head_dim, double theta,
            const torch::TensorOptions& options);
  torch::Tensor cos, sin;  // [T, head_dim / 2], dtype and device of `options`
};

// Rotates halves as Hugging Face does: element i of a head pairs with i + head_dim / 2. x [B,
// heads, T, head_dim].
torch::Tensor apply_rope(const torch::Tensor& x, const RopeTable& rope);

struct AttentionImpl : torch::nn::Module {
  explicit AttentionImpl(const ModelConfig& config);
  torch::Tensor forward(const torch::Tensor& x, const RopeTable& rope);  // [B, T, D] -> [B, T, D]

  torch::Tensor q, k, v, o;  // [H * head_dim, D], [kv * head_dim, D] twice, [D, H * head_dim]
  torch::Tensor q_bias, k_bias, v_bias;  // undefined: none
  RmsNorm q_norm{nullptr}, k_norm{nullptr};

 private:
  // weight . x + bias, normalised where `norm` is set: [B, heads, T, head_dim].
  torch::Tensor project(const torch::Tensor& x, const torch::Tensor& weight,
                        const torch::Tensor& bias, RmsNorm& norm, std::int64_t heads);

  std::int64_t heads_, kv_heads_, head_dim_;
  QkNorm qk_norm_;
};
TORCH_MODULE(Attention);

}  // namespace switchyard::models
