#include "models/decoder.h"

#include <cmath>
#include <fmt/format.h>
#include <span>

#include <torch/nn/modules/container/modulelist.h>

#include "switchyard/error.h"

#include "base/check.h"
#include "models/budget_loss.h"
#include "models/dropout.h"
#include "models/init.h"
#include "models/trainable.h"
#include "routing/recurrent.h"

namespace switchyard::models {
namespace {

constexpr double kInitialDeviation = 0.02;  // GPT-2, Llama, OLMoE

bool ends_with_part(const std::string& name, std::string_view part) {
  return name == part || (name.size() > part.size() && name.ends_with(part) &&
                          name[name.size() - part.size() - 1] == '.');
}

// Every parameter by the role its name says: see the constructor's contract.
void initialise(torch::nn::Module& model, const ModelConfig& config, std::uint64_t seed) {
  constexpr int kWide = 512;
  const bool router_by_fan_in =
      config.moe && config.moe->router.router_hidden > 0 && config.width < kWide;
  const torch::NoGradGuard no_grad;
  for (auto& parameter : model.named_parameters()) {
    const auto& name = parameter.key();
    auto& value = parameter.value();
    if (value.dim() == 1) {
      value.fill_(ends_with_part(name, "weight") ? 1.0 : 0.0);  // norms; the rest are biases
      continue;
    }
    // A mixture starts with all options alike.
    if (config.moe && config.moe->router.soft_training && name.ends_with(".moe.router.weight")) {
      value.zero_();
      continue;
    }
    if (router_by_fan_in && is_router_weight(name)) {
      fill_normal(value, 1.0 / std::sqrt(static_cast<double>(value.size(1))), seed, name);
      continue;
    }
    const bool into_residual = ends_with_part(name, "attention.o") ||
                               ends_with_part(name, "down") || ends_with_part(name, "experts.out");
    fill_normal(
        value,
        into_residual ? kInitialDeviation / std::sqrt(2.0 * config.layers) : kInitialDeviation,
        seed, name);
  }
}

}  // namespace

bool is_router_weight(const std::string& name) {
  return name.starts_with("router_cell.") || name.find(".moe.router.") != std::string::npos;
}

DecoderLayerImpl::DecoderLayerImpl(const ModelConfig& config, int layer, RouterCell router_cell)
    : layer_(layer) {
  input_norm = register_module("input_norm", RmsNorm(config.width, config.norm_epsilon));
  attention = register_module("attention", Attention(config));
  post_norm = register_module("post_norm", RmsNorm(config.width, config.norm_epsilon));
  if (config.layer_is_moe[layer]) {
    moe = register_module(
        "moe", MoeLayer(*config.moe, config.width, layer, config.layers, std::move(router_cell)));
  } else {
    dense = register_module("dense", FeedForward(config.width, config.dense));
  }
}

torch::Tensor DecoderLayerImpl::forward(const torch::Tensor& x, const torch::Tensor& tokens,
                                        const RopeTable& rope, ForwardContext& context) {
  const std::uint64_t place = 2 * static_cast<std::uint64_t>(layer_) + 1;
  const auto attended =
      x + dropout(attention->forward(input_norm->forward(x), rope), context, place);
  const auto normed = post_norm->forward(attended);
  return attended + dropout(moe ? moe->forward(normed, tokens, context) : dense->forward(normed),
                            context, place + 1);
}

Decoder::Decoder(const ModelConfig& config, std::uint64_t init_seed) : config_(config) {
  validate(config);
  require_trainable(config, "model config");
  embedding = register_parameter("embedding", torch::empty({config.vocab, config.width}));
  if (config.moe && routing::cell_gates(config.moe->router) > 0) {
    router_cell = register_module("router_cell", RouterCell(config.moe->router));
  }
  torch::nn::ModuleList list;
  for (int l = 0; l < config.layers; ++l) {
    layers.emplace_back(config, l, router_cell);
    list->push_back(layers.back());
  }
  register_module("layers", list);
  final_norm = register_module("final_norm", RmsNorm(config.width, config.norm_epsilon));
  if (!config.tied_embeddings)
    output = register_parameter("output", torch::empty({config.vocab, config.width}));
  initialise(*this, config, init_seed);
}

void Decoder::add_budget_loss(std::int64_t batch, std::size_t first,
                              ForwardContext& context) const {
  if (!config_.moe || config_.moe->router.losses.budget_coefficient == 0) return;
  const auto& losses = config_.moe->router.losses;
  const auto value =
      budget_loss(losses, std::span(context.routes).subspan(first), batch, context.mask);
  if (!value.defined()) return;
  context.losses.push_back({"budget", LossTerm::kAllLayers, value, losses.budget_coefficient});
}

torch::Tensor Decoder::hidden(const torch::Tensor& tokens, ForwardContext& context) {
  SWITCHYARD_CHECK(tokens.dim() == 2 && tokens.size(1) > 0 &&
                   tokens.scalar_type() == torch::kInt64);
  if (tokens.device().is_cpu() &&
      tokens.numel() > 0) {  // elsewhere the look-up itself reports, without waiting for it here
    const auto lowest = tokens.min().item<std::int64_t>(),
               highest = tokens.max().item<std::int64_t>();
    if (lowest < 0 || highest >= config_.vocab) {
      throw Error(
          {.what = fmt::format("token {} is not in the vocabulary", lowest < 0 ? lowest : highest),
           .expected = fmt::format("0 to {}", config_.vocab - 1),
           .fix = "use the tokenizer the model was made with"});
    }
  }
  context.recurrent = torch::Tensor();
  auto x = dropout(torch::embedding(embedding, tokens), context, 0);
  const RopeTable rope(tokens.size(1), config_.head_dim, config_.rope_theta, x.options());
  const auto reported = context.routes.size();
  for (auto& layer : layers) x = layer->forward(x, tokens, rope, context);
  add_budget_loss(tokens.size(0), reported, context);
  return final_norm->forward(x);
}

torch::Tensor Decoder::logits(const torch::Tensor& hidden) const {
  const auto result = torch::linear(hidden, output.defined() ? output : embedding);
  return result.scalar_type() == torch::kDouble ? result : result.to(torch::kFloat32);
}

torch::Tensor Decoder::forward(const torch::Tensor& tokens, ForwardContext& context) {
  return logits(hidden(tokens, context));
}

}  // namespace switchyard::models
