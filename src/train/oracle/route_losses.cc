#include "train/oracle/route_losses.h"

#include <algorithm>

#include <torch/types.h>
#include <torch/utils.h>

#include "base/check.h"
#include "base/random.h"

namespace switchyard::train::oracle {
namespace {

// Depth first over the layers.
class Walk {
 public:
  Walk(models::Decoder& model, const torch::Tensor& tokens, std::span<const Route> routes,
       const std::function<void(std::size_t, const torch::Tensor&)>& visit)
      : model_(model),
        tokens_(tokens),
        routes_(routes),
        visit_(visit),
        rope_(tokens.size(1), model.config().head_dim, model.config().rope_theta,
              model.embedding.options()) {}

  // Routes [begin, end) agree in the layers before `layer`; x is what comes out of those.
  void descend(std::size_t begin, std::size_t end, std::size_t layer, const torch::Tensor& x) {
    if (layer == model_.layers.size()) {
      const auto logits = model_.logits(model_.final_norm->forward(x));
      for (std::size_t r = begin; r < end; ++r) visit_(r, logits);
      return;
    }
    for (std::size_t from = begin; from < end;) {
      std::size_t to = from;
      while (to < end && routes_[to][layer] == routes_[from][layer]) ++to;
      models::ForwardContext context;
      context.forced = forced(routes_[from]);
      descend(from, to, layer + 1, model_.layers[layer]->forward(x, tokens_, rope_, context));
      from = to;
    }
  }

 private:
  models::Decoder& model_;
  const torch::Tensor& tokens_;
  std::span<const Route> routes_;
  const std::function<void(std::size_t, const torch::Tensor&)>& visit_;
  models::RopeTable rope_;
};

// One token a row, drawn from the distribution of logits [N, V]; row i's draw is named by `first` +
// i.
torch::Tensor sample(const torch::Tensor& logits, std::uint64_t seed, std::int64_t first) {
  const auto cumulative = logits.to(torch::kCPU).softmax(1, torch::kFloat64).cumsum(1);
  auto draws = torch::empty({logits.size(0), 1}, torch::kFloat64);
  for (std::int64_t i = 0; i < logits.size(0); ++i) {
    Random random(RandomKey{.seed = seed, .step = static_cast<std::uint64_t>(first + i)});
    draws[i][0] = random.uniform();
  }
  // The last entry of a row may fall short of 1 by rounding.
  return torch::searchsorted(cumulative.contiguous(), draws)
      .clamp_max(logits.size(1) - 1)
      .squeeze(1);
}

}  // namespace

models::ForcedRoutes forced(const Route& route) {
  return {.experts = torch::tensor(std::vector<std::int64_t>(route.begin(), route.end()))};
}

torch::Tensor token_losses(const torch::Tensor& logits, const torch::Tensor& targets) {
  return -logits.flatten(0, 1)
              .log_softmax(1)
              .gather(1, targets.reshape({-1, 1}).to(logits.device()))
              .squeeze(1)
              .to(torch::kCPU);
}

void visit_routes(models::Decoder& model, const torch::Tensor& tokens,
                  std::span<const Route> routes,
                  const std::function<void(std::size_t, const torch::Tensor&)>& visit) {
  const torch::NoGradGuard no_grad;
  for (const Route& route : routes) SWITCHYARD_CHECK(route.size() == model.layers.size());
  const auto on_device = tokens.to(model.embedding.device());
  Walk(model, on_device, routes, visit)
      .descend(0, routes.size(), 0, torch::embedding(model.embedding, on_device));
}

RouteLosses measure_routes(models::Decoder& model, const torch::Tensor& windows,
                           std::span<const Route> routes, std::int64_t batch, std::uint64_t seed) {
  const torch::NoGradGuard no_grad;
  const auto sequences = windows.size(0), length = windows.size(1) - 1;
  const auto count = static_cast<std::int64_t>(routes.size());
  RouteLosses out;
  out.routes.assign(routes.begin(), routes.end());
  out.nll = torch::empty({count, sequences * length});
  out.sampled_nll = torch::empty_like(out.nll);
  for (const Route& route : routes) {
    out.log_z.try_emplace(budget_of(route), torch::empty({sequences * length}));
  }
  for (std::int64_t first = 0; first < sequences; first += batch) {
    const auto rows = windows.narrow(0, first, std::min(batch, sequences - first));
    const auto begin = first * length, items = rows.size(0) * length;
    const auto targets = rows.narrow(1, 1, length).reshape({-1, 1});
    torch::Tensor sampled;
    std::map<int, torch::Tensor> best;  // by budget: [n, V] max over routes of log p
    visit_routes(model, rows.narrow(1, 0, length).contiguous(), routes,
                 [&](std::size_t r, const torch::Tensor& logits) {
                   const auto log_p = logits.flatten(0, 1).to(torch::kCPU).log_softmax(1);
                   if (!sampled.defined()) sampled = sample(log_p, seed, begin).unsqueeze(1);
                   const auto at = static_cast<std::int64_t>(r);
                   const auto keep = [&](torch::Tensor& to, const torch::Tensor& labels) {
                     to[at].narrow(0, begin, items).copy_(-log_p.gather(1, labels).squeeze(1));
                   };
                   keep(out.nll, targets);
                   keep(out.sampled_nll, sampled);
                   auto& most = best[budget_of(routes[r])];
                   most = most.defined() ? torch::maximum(most, log_p) : log_p;
                 });
    for (const auto& [budget, log_p] : best) {
      out.log_z.at(budget).narrow(0, begin, items).copy_(log_p.to(torch::kFloat64).logsumexp(1));
    }
  }
  return out;
}

torch::Tensor perturbed_losses(models::Decoder& model, const torch::Tensor& windows,
                               const Route& route, std::int64_t copies, double dropout,
                               std::int64_t batch, std::uint64_t seed) {
  const torch::NoGradGuard no_grad;
  const auto sequences = windows.size(0), length = windows.size(1) - 1;
  auto out = torch::empty({copies, sequences * length});
  for (std::int64_t copy = 0; copy < copies; ++copy) {
    for (std::int64_t first = 0; first < sequences; first += batch) {
      const auto rows = windows.narrow(0, first, std::min(batch, sequences - first));
      models::ForwardContext context;
      context.training = true;  // dropout needs it
      context.soft = false;
      context.dropout = dropout;
      context.forced = forced(route);
      context.random = {.seed = seed,
                        .step = static_cast<std::uint64_t>(first),
                        .pass = static_cast<std::uint32_t>(copy)};
      const auto logits = model.forward(
          rows.narrow(1, 0, length).contiguous().to(model.embedding.device()), context);
      out[copy]
          .narrow(0, first * length, rows.size(0) * length)
          .copy_(token_losses(logits, rows.narrow(1, 1, length)));
    }
  }
  return out;
}

}  // namespace switchyard::train::oracle
