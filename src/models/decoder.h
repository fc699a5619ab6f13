// A Llama-style decoder built from a ModelConfig: RMSNorm, RoPE, grouped-query attention, and a
// feed-forward network that is dense or routed, layer by layer.
//
//   x = embedding[tokens]
//   x = x + attention(input_norm(x));  x = x + ffn(post_norm(x))        for each layer
//   logits = output . final_norm(x)
//
// B sequences, T tokens, D model width, V vocabulary, L layers.
// Parameters are named after their place ("layers.0.attention.q"), checkpoint_io.h gives them their
// Hugging Face names. Runs on any device; in fp32, double or bf16 (`to(torch::kBFloat16)`); router
// logits, softmax and norms are fp32 at least. Thread rule: const use of the weights; forwards with
// separate contexts may run at once, training steps may not.
#pragma once

#include <cstdint>
#include <vector>

#include <torch/nn/module.h>
#include <torch/types.h>

#include "switchyard/model_config.h"

#include "models/attention.h"
#include "models/feed_forward.h"
#include "models/forward_context.h"
#include "models/moe_layer.h"
#include "models/rms_norm.h"

namespace switchyard::models {

struct DecoderLayerImpl : torch::nn::Module {
  DecoderLayerImpl(const ModelConfig& config, int layer, RouterCell router_cell);
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& tokens, const RopeTable& rope,
                        ForwardContext& context);

  RmsNorm input_norm{nullptr};
  Attention attention{nullptr};
  RmsNorm post_norm{nullptr};
  FeedForward dense{nullptr};  // exactly one of the two is set
  MoeLayer moe{nullptr};

 private:
  int layer_;
};
TORCH_MODULE(DecoderLayer);

class Decoder : public torch::nn::Module {
 public:
  // Throws Error if the config does not hold together. Weights are a pure function of (config,
  // init_seed): normal with deviation 0.02, projections into the residual stream scaled by 1 /
  // sqrt(2 L), norms 1, biases 0. Routers with soft_training are 0: all
  // options alike. Routers of more than one matrix have deviation 1 / sqrt(fan in)
  // where D < 512: with 0.02 their state stays near zero, and the probabilities uniform, for long.
  Decoder(const ModelConfig& config, std::uint64_t init_seed);

  // tokens [B, T] int64 in [0, V) -> logits [B, T, V], fp32 (double for a double model).
  torch::Tensor forward(const torch::Tensor& tokens, ForwardContext& context);
  // The two halves of forward(): [B, T] -> [B, T, D] after the final norm, and [..., D] -> [...,
  // V].
  torch::Tensor hidden(const torch::Tensor& tokens, ForwardContext& context);
  torch::Tensor logits(const torch::Tensor& hidden) const;

  const ModelConfig& config() const { return config_; }

  torch::Tensor embedding;          // [V, D]
  RouterCell router_cell{nullptr};  // of all layers; null for routers without
  std::vector<DecoderLayer> layers;
  RmsNorm final_norm{nullptr};
  torch::Tensor output;  // [V, D]; undefined when tied

 private:
  // Of the routes reported from `first` on.
  void add_budget_loss(std::int64_t batch, std::size_t first, ForwardContext& context) const;

  ModelConfig config_;
};

// Whether the parameter of this name (of a Decoder) belongs to a router.
bool is_router_weight(const std::string& name);

}  // namespace switchyard::models
