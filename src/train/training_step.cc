#include "train/training_step.h"

#include <cmath>
#include <fmt/format.h>

#include <torch/nn/functional/loss.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "switchyard/error.h"

#include "base/check.h"

namespace switchyard::train {
namespace {

Error not_finite(const char* what, double value, std::int64_t step) {
  return Error({.what = fmt::format("the {} is not finite ({}) in step {}", what, value, step + 1),
                .where = "",
                .expected = "a finite number",
                .fix = "lower train.lr or raise train.warmup and start again; the last checkpoint "
                       "is from before this step"});
}

// Leaves only the routers' weights to training.
void freeze_all_but_routers(models::Decoder& model) {
  bool any = false;
  for (auto& item : model.named_parameters()) {
    const bool router = models::is_router_weight(item.key());
    if (!router) item.value().requires_grad_(false);
    any = any || (router && item.value().requires_grad());
  }
  if (any) return;
  throw Error({.what = "no router has weights to train",
               .where = "[train] only_router",
               .expected = "a kind of router with weights that are not frozen",
               .fix = "set train.only_router to false, or choose another router.kind"});
}

}  // namespace

TrainableModel::TrainableModel(const ModelConfig& config, const TrainRecipe& recipe, double dropout,
                               torch::Device device)
    : recipe_(recipe), dropout_(dropout), device_(device) {
  master_ = std::make_shared<models::Decoder>(config, recipe.seed);
  master_->to(device);
  compute_ = master_;
  if (recipe.bf16) {
    compute_ = std::make_shared<models::Decoder>(config, recipe.seed);
    compute_->to(device);
    compute_->to(torch::kBFloat16);
  }
  if (recipe.only_router) {
    freeze_all_but_routers(*master_);
    if (compute_ != master_) freeze_all_but_routers(*compute_);
  }
  std::vector<Parameter> parameters;
  for (const auto& item : master_->named_parameters()) {
    if (item.value().requires_grad()) parameters.push_back({item.key(), item.value()});
  }
  optimizer_ = std::make_unique<Optimizer>(recipe.optimizer, std::move(parameters));
}

models::Decoder& TrainableModel::compute() {
  refresh_compute();
  return *compute_;
}

std::vector<NamedTensor> TrainableModel::weights() const {
  std::vector<NamedTensor> out;
  for (const auto& item : master_->named_parameters()) out.push_back({item.key(), item.value()});
  for (const auto& item : master_->named_buffers()) out.push_back({item.key(), item.value()});
  return out;
}

void TrainableModel::refresh_compute() {
  if (compute_ == master_) return;
  torch::NoGradGuard no_grad;
  const auto from = master_->named_parameters();
  for (auto& item : compute_->named_parameters()) item.value().copy_(from[item.key()]);
  const auto buffers = master_->named_buffers();
  for (auto& item : compute_->named_buffers()) item.value().copy_(buffers[item.key()]);
}

void TrainableModel::collect_gradients() {
  if (compute_ == master_) return;
  const auto from = compute_->named_parameters();
  for (const Parameter& parameter : optimizer_->parameters()) {
    torch::Tensor source = from[parameter.name];
    torch::Tensor target = parameter.value;
    if (source.grad().defined()) target.mutable_grad() = source.grad().to(torch::kFloat32);
    source.mutable_grad().reset();
  }
}

void TrainableModel::update_selection_biases() {
  for (std::size_t l = 0; l < master_->layers.size(); ++l) {
    models::MoeLayer moe = master_->layers[l]->moe;
    if (moe.is_empty() || !moe->router->selection_bias.defined()) continue;
    moe->router->update_selection_bias(routers_.layers().at(static_cast<int>(l)).load,
                                       recipe_.bias_update);
  }
}

StepOutcome TrainableModel::step(const std::vector<torch::Tensor>& batches, const StepPlan& plan) {
  SWITCHYARD_CHECK(!batches.empty());
  refresh_compute();
  optimizer_->zero_gradients();
  StepOutcome out;
  routers_.clear();
  const double share = 1.0 / static_cast<double>(batches.size());
  for (std::size_t pass = 0; pass < batches.size(); ++pass) {
    const torch::Tensor ids = batches[pass].to(device_);
    const std::int64_t columns = ids.size(1) - 1;
    models::ForwardContext context;
    context.training = true;
    context.dropout = dropout_;
    context.random = {.seed = recipe_.seed,
                      .step = static_cast<std::uint64_t>(plan.step),
                      .pass = static_cast<std::uint32_t>(pass)};
    context.balance_coefficient = plan.router.balance_coefficient;
    context.inverse_temperature = plan.router.inverse_temperature;
    using KScope = models::ForwardContext::KScope;
    std::unique_ptr<KScope> k;
    if (plan.router.experts_per_token)
      k.reset(new KScope(context.override_k(*plan.router.experts_per_token)));
    const torch::Tensor logits = compute_->forward(ids.narrow(1, 0, columns).contiguous(), context);
    torch::Tensor loss = torch::nn::functional::cross_entropy(
        logits.reshape({-1, logits.size(2)}), ids.narrow(1, 1, columns).reshape({-1}));
    const double cross_entropy = loss.item<double>();
    if (!std::isfinite(cross_entropy)) throw not_finite("loss", cross_entropy, plan.step);
    out.loss += cross_entropy * share;
    if (const torch::Tensor extra = context.total_loss(); extra.defined()) {
      out.router_loss += extra.item<double>() * share;
      loss = loss + extra;
    }
    (loss * share).backward();
    routers_.add(context);
  }
  warnings_ = train::router_warnings(*compute_);
  collect_gradients();
  out.gradient_norm = gradient_norm(optimizer_->parameters());
  if (!std::isfinite(out.gradient_norm)) throw not_finite("gradient", out.gradient_norm, plan.step);
  const bool clip = recipe_.clip > 0 && out.gradient_norm > recipe_.clip;
  optimizer_->step(plan.lr, clip ? recipe_.clip / out.gradient_norm : 1.0);
  update_selection_biases();
  return out;
}

}  // namespace switchyard::train
