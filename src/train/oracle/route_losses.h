// Losses of every token under every route, each route used for the whole sequence ("uniform
// prefix", O1): what the oracles choose from. An oracle looks at the true next token: it measures,
// it cannot decode.
//
// S sequences of T predicted tokens, N = S T items (item s T + t), R routes, V vocabulary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include <torch/types.h>

#include "models/decoder.h"
#include "train/oracle/routes.h"

namespace switchyard::train::oracle {

// Calls visit(r, logits [B, T, V]) for each route. Neighbouring routes share the layers in which
// they agree so far, so routes in the order of enumerate_routes() cost about two layers each
// instead of L. tokens [B, T] int64. All layers of the model have experts.
void visit_routes(models::Decoder& model, const torch::Tensor& tokens,
                  std::span<const Route> routes,
                  const std::function<void(std::size_t, const torch::Tensor&)>& visit);

struct RouteLosses {
  std::vector<Route> routes;  // [R]
  torch::Tensor nll;          // [R, N] of the true next token, nats
  // [R, N] of a next token drawn from the first route's distribution: the labels of the
  // sampled-label control.
  torch::Tensor sampled_nll;
  // [N] each, by budget: log Z of the set of routes with that budget, Z = sum over y of max over
  // routes of p(y). Between 0 and log R.
  std::map<int, torch::Tensor> log_z;
};

// windows [S, T + 1] int64; `batch` sequences are computed at once.
RouteLosses measure_routes(models::Decoder& model, const torch::Tensor& windows,
                           std::span<const Route> routes, std::int64_t batch, std::uint64_t seed);

// [copies, N]: losses under one route with dropout, another mask for every copy: routes that differ
// by noise alone.
torch::Tensor perturbed_losses(models::Decoder& model, const torch::Tensor& windows,
                               const Route& route, std::int64_t copies, double dropout,
                               std::int64_t batch, std::uint64_t seed);

// [N]: negative log likelihoods of next tokens under logits [B, T, V]; targets [B, T].
torch::Tensor token_losses(const torch::Tensor& logits, const torch::Tensor& targets);

// The route as the model takes it in a forward context.
models::ForcedRoutes forced(const Route& route);

}  // namespace switchyard::train::oracle
