#include "models/moe_layer.h"

#include <fmt/format.h>
#include <vector>

#include "base/check.h"

namespace switchyard::models {
namespace {

// The router's settings as this pass has them.
routing::Config settings_in_force(const routing::Config& own, const ForwardContext& context) {
  routing::Config config = own;
  if (context.balance_coefficient) {
    config.losses.balance_coefficient = static_cast<float>(*context.balance_coefficient);
  }
  if (context.inverse_temperature) {
    config.inverse_temperature = static_cast<float>(*context.inverse_temperature);
  }
  // Forced routes are taken as given.
  const bool soft = context.soft.value_or(context.training) && !context.forced;
  return config.soft_training && soft ? routing::soft_config(config) : config;
}

void report(const RouterOutput& output, const RouterImpl& router, const routing::Config& config,
            int layer, int k, bool forced, ForwardContext& context) {
  LayerRoute route;
  static_cast<RouterOutput&>(route) = output;
  route.layer = layer;
  route.forced = forced;
  context.routes.push_back(std::move(route));

  const auto& losses = config.losses;
  const auto add = [&](const char* name, const torch::Tensor& value, double coefficient) {
    if (value.defined() && coefficient != 0)
      context.losses.push_back({name, layer, value, coefficient});
  };
  add("balance", output.losses.balance, losses.balance_coefficient);
  add("z", output.losses.z, losses.z_coefficient);
  add("importance", output.losses.importance, losses.importance_coefficient);
  add("entropy", output.losses.entropy, losses.entropy_coefficient);

  if (!context.training || !torch::GradMode::is_enabled() || !router.weight.defined()) return;
  if (!router.weight.requires_grad()) {
    context.notices.push_back({RouterNotice::Kind::frozen, layer,
                               fmt::format("the router of layer {} is frozen", layer)});
    return;
  }
  auto effective = config;
  effective.experts_per_token = k;
  const bool by_gate =
      output.weights.requires_grad() && (forced || routing::gate_has_gradient(effective));
  const auto loss = output.losses.total(losses);
  if (losses.budget_coefficient > 0) return;  // computed over all layers, by the decoder
  if (!by_gate && !(loss.defined() && loss.requires_grad())) {
    context.notices.push_back(
        {RouterNotice::Kind::no_gradient, layer,
         fmt::format(
             "the router of layer {} gets no gradient: its gate weights do not depend on its "
             "logits with K = {} and no auxiliary loss is on",
             layer, k)});
  }
}

}  // namespace

MoeLayerImpl::MoeLayerImpl(const MoeConfig& config, std::int64_t width, int layer, int layers,
                           RouterCell cell)
    : config_(config), layer_(layer), layers_(layers) {
  router = register_module("router", make_router(config.router, width, std::move(cell)));
  const std::int64_t count = config.router.experts;
  experts =
      register_module("experts", ExpertBank(count, width, config.expert,
                                            std::vector<std::int64_t>(config.expert_hidden.begin(),
                                                                      config.expert_hidden.end())));
  expert_map = register_buffer("expert_map", torch::arange(count, torch::kInt64));
  if (config.shared_hidden > 0) {
    auto ffn = config.expert;
    ffn.hidden = config.shared_hidden;
    shared = register_module("shared", FeedForward(width, ffn));
    if (config.shared_gate)
      shared_gate = register_parameter("shared_gate", torch::empty({1, width}));
  }
}

torch::Tensor MoeLayerImpl::forward(const torch::Tensor& x, const torch::Tensor& tokens,
                                    ForwardContext& context) {
  SWITCHYARD_CHECK(x.dim() == 3);
  const auto batch = x.size(0), length = x.size(1);
  const auto items = x.reshape({batch * length, x.size(2)});

  RouterInputs inputs;
  if (tokens.defined()) inputs.token_ids = tokens.reshape({-1});
  if (context.mask.defined()) inputs.mask = context.mask.reshape({-1});
  // Evaluation names items by position, as a runtime that decodes token by token does; training
  // draws anew for every item.
  if (!context.training) inputs.item_ids = torch::arange(length, tokens.options()).repeat({batch});
  const auto config = settings_in_force(config_.router, context);
  inputs.config = &config;
  // A mixture takes all outputs, whatever K is in force.
  const bool mixed = config_.router.soft_training && !config.soft_training;
  inputs.experts_per_token = mixed
                                 ? config.experts_per_token
                                 : context.experts_per_token(layer_, config.experts_per_token,
                                                             config.experts + config.null_experts);
  if (context.forced) {
    const auto forced = context.forced->layer(layer_, layers_, batch, length, config.experts);
    inputs.forced = forced.experts.to(x.device());
    if (forced.weights.defined()) inputs.forced_weights = forced.weights.to(x.device());
  }
  RouterState state{.seed = context.random.seed.value_or(config.seed),
                    .step = context.random.step,
                    .pass = context.random.pass,
                    .layer = static_cast<std::uint32_t>(layer_),
                    .recurrent = context.recurrent};
  const auto route = router->forward(items, inputs, state);
  context.recurrent = state.recurrent;
  report(route, *router, config, layer_, inputs.experts_per_token, context.forced.has_value(),
         context);

  const auto slots = torch::where(route.indices < 0, route.indices,
                                  expert_map.index({route.indices.clamp_min(0)}));
  auto y = apply_experts(*experts, items, slots, route.weights, context.path);
  if (shared) {
    auto extra = shared->forward(items);
    if (shared_gate.defined()) extra = extra * torch::sigmoid(torch::linear(items, shared_gate));
    y = y + extra;
  }
  return y.view_as(x);
}

// libtorch's C++ modules convert every buffer: whole numbers, and a bias whose small steps bf16
// would swallow.
void MoeLayerImpl::to(torch::Device device, torch::Dtype dtype, bool non_blocking) {
  to(device, non_blocking);
  to(dtype, non_blocking);
}

void MoeLayerImpl::to(torch::Dtype dtype, bool non_blocking) {
  const auto map = expert_map.clone();
  auto& bias = router->selection_bias;
  const auto kept_bias = bias.defined() ? bias.clone() : bias;
  Module::to(dtype, non_blocking);
  expert_map.set_data(map);
  if (bias.defined()) bias.set_data(kept_bias);
}

void MoeLayerImpl::to(torch::Device device, bool non_blocking) { Module::to(device, non_blocking); }

}  // namespace switchyard::models
