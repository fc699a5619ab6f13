#include "train/router_watch.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include <torch/torch.h>

namespace switchyard::train {

void RouterWatch::add(const models::ForwardContext& context) {
  const torch::NoGradGuard no_grad;
  for (const models::LayerRoute& route : context.routes) {
    torch::Tensor& load = load_.at(static_cast<std::size_t>(route.layer));
    const torch::Tensor counts = route.counts.to(torch::kCPU);
    load = load.defined() ? load + counts : counts;
    dropped_ += route.dropped;
    if (route.probs.defined() && route.probs.size(1) > 1) {
      const torch::Tensor terms = torch::special::xlogy(route.probs, route.probs);
      entropy_sum_ -=
          terms.sum(1).mean().item<double>() / std::log(static_cast<double>(route.probs.size(1)));
      ++entropies_;
    }
  }
}

bool RouterWatch::any() const {
  return std::any_of(load_.begin(), load_.end(),
                     [](const torch::Tensor& load) { return load.defined(); });
}

RouterStats RouterWatch::stats() const {
  RouterStats out;
  int layers = 0;
  for (const torch::Tensor& load : load_) {
    if (!load.defined()) continue;
    ++layers;
    const auto experts = static_cast<double>(load.numel());
    const auto total =
        static_cast<double>(std::max<std::int64_t>(1, load.sum().item<std::int64_t>()));
    const torch::Tensor share = load.to(torch::kFloat64) / total;
    out.load_max += share.max().item<double>() * experts;
    out.dead += (load == 0).sum().item<std::int64_t>();
    if (experts > 1)
      out.load_entropy -=
          torch::special::xlogy(share, share).sum().item<double>() / std::log(experts);
  }
  if (layers > 0) {
    out.load_max /= layers;
    out.load_entropy /= layers;
  }
  if (entropies_ > 0) out.router_entropy = entropy_sum_ / static_cast<double>(entropies_);
  out.dropped = dropped_;
  return out;
}

std::vector<std::string> router_warnings(const models::Decoder& model) {
  std::vector<std::string> lines;
  for (std::size_t l = 0; l < model.layers.size(); ++l) {
    const models::MoeLayer& moe = model.layers[l]->moe;
    if (moe.is_empty()) continue;
    const models::RouterGradient gradient = models::router_gradient(*moe->router);
    if (!gradient.message.empty())
      lines.push_back(fmt::format("layer {}: {}", l, gradient.message));
  }
  return lines;
}

}  // namespace switchyard::train
