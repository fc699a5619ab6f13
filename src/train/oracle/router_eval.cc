#include "train/oracle/router_eval.h"

#include <algorithm>
#include <functional>

#include <torch/special.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "train/oracle/route_losses.h"

namespace switchyard::train::oracle {
namespace {

struct Batch {
  torch::Tensor tokens, targets;  // [B, T]
};

// Mean of what `loss` says of each batch [B T] over all tokens.
double mean_over(const torch::Tensor& windows, std::int64_t batch, torch::Device device,
                 const std::function<torch::Tensor(const Batch&)>& loss) {
  const auto sequences = windows.size(0), length = windows.size(1) - 1;
  double sum = 0;
  for (std::int64_t first = 0; first < sequences; first += batch) {
    const auto rows = windows.narrow(0, first, std::min(batch, sequences - first));
    sum += loss({.tokens = rows.narrow(1, 0, length).contiguous().to(device),
                 .targets = rows.narrow(1, 1, length)})
               .sum(torch::kFloat64)
               .item<double>();
  }
  return sum / static_cast<double>(sequences * length);
}

// [L, N] probabilities of option 0, of the passes reported to the context.
torch::Tensor big_probabilities(const models::ForwardContext& context) {
  std::vector<torch::Tensor> layers;
  for (const auto& route : context.routes) layers.push_back(route.probs.select(1, kBig));
  return torch::stack(layers);
}

}  // namespace

double mean_loss(models::Decoder& model, const torch::Tensor& windows, std::int64_t batch,
                 const std::optional<Route>& route) {
  const torch::NoGradGuard no_grad;
  return mean_over(windows, batch, model.embedding.device(), [&](const Batch& b) {
    models::ForwardContext context;
    context.soft = false;
    if (route) context.forced = forced(*route);
    return token_losses(model.forward(b.tokens, context), b.targets);
  });
}

RouterEvaluation evaluate_router(models::Decoder& model, const torch::Tensor& windows,
                                 int big_layers, std::int64_t batch) {
  const torch::NoGradGuard no_grad;
  const auto device = model.embedding.device();
  const auto items = static_cast<double>(windows.size(0) * (windows.size(1) - 1));
  const auto layers = static_cast<std::int64_t>(model.layers.size());
  RouterEvaluation out;
  out.layer_share.assign(model.layers.size(), 0);

  out.soft = mean_over(windows, batch, device, [&](const Batch& b) {
    models::ForwardContext context;
    context.soft = true;
    const auto loss = token_losses(model.forward(b.tokens, context), b.targets);
    out.soft_share +=
        big_probabilities(context).mean(0).sum(torch::kFloat64).item<double>() / items;
    for (const auto& route : context.routes) {
      out.entropy -= torch::special::xlogy(route.probs, route.probs).sum().item<double>() /
                     (items * static_cast<double>(layers));
    }
    return loss;
  });
  out.hard = mean_over(windows, batch, device, [&](const Batch& b) {
    models::ForwardContext context;
    context.soft = false;
    const auto loss = token_losses(model.forward(b.tokens, context), b.targets);
    for (std::size_t l = 0; l < context.routes.size(); ++l) {
      const auto big = (context.routes[l].indices == kBig).sum().item<double>();
      out.layer_share[l] += big / items;
      out.hard_share += big / (items * static_cast<double>(layers));
    }
    return loss;
  });
  out.top_b = mean_over(windows, batch, device, [&](const Batch& b) {
    models::ForwardContext context;
    context.soft = true;
    model.hidden(b.tokens, context);
    const auto wanted = std::get<1>(big_probabilities(context).topk(big_layers, 0));  // [b, N]
    auto routes = torch::full({layers, wanted.size(1)}, kSmall, wanted.options());
    routes.scatter_(0, wanted, kBig);
    models::ForwardContext prescribed;
    prescribed.forced = models::ForcedRoutes{
        .experts = routes.view({layers, b.tokens.size(0), -1}).permute({1, 0, 2}).contiguous()};
    return token_losses(model.forward(b.tokens, prescribed), b.targets);
  });
  return out;
}

}  // namespace switchyard::train::oracle
