// What choosing routes with the answer in view gains, and how much of that is noise (Alizadeh 2024,
// section 4; the corrections are ours). Pure functions over losses [R, N] (R routes, N tokens), in
// nats; `set` names the routes that may be chosen.
//
// The minimum of R noisy losses is low whether or not any route is better. Three numbers tell:
//   code length     -log max_r p_r(y) + log Z: a distribution again, the normalised maximum
//   likelihood
//                   code of the set. Not below the best fixed route: the oracle's gain is hindsight
//   null routes     copies of one route that differ by noise alone, as many and as spread as the
//   set sampled labels  the route that is best for a token the model drew, scored on the true one
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <torch/types.h>

#include "train/oracle/route_losses.h"

namespace switchyard::train::oracle {

using RouteSet = std::vector<std::int64_t>;  // places in RouteLosses::routes

// Per token: the lowest loss of the set, and the place of its route (the first of equals).
struct Choice {
  torch::Tensor nll;    // [N]
  torch::Tensor route;  // [N] int64
};
Choice oracle(const torch::Tensor& nll, const RouteSet& set);

// One route for all tokens: the one of lowest mean.
struct FixedRoute {
  std::int64_t route = 0;
  double nll = 0;
};
FixedRoute best_fixed(const torch::Tensor& nll, const RouteSet& set);

// The best of K random routes of the set, drawn with replacement: for all tokens together, or for
// each token by itself (a smaller oracle).
double random_per_set(const torch::Tensor& nll, const RouteSet& set, int draws, std::uint64_t seed);
double random_per_token(const torch::Tensor& nll, const RouteSet& set, int draws,
                        std::uint64_t seed);

// The oracle over min(K, R) different random routes of the set. The minimum depends on K, so K is
// part of the answer.
struct SampledOracle {
  RouteSet routes;
  double nll = 0;
};
SampledOracle sampled_oracle(const torch::Tensor& nll, const RouteSet& set, std::size_t k,
                             std::uint64_t seed);

// Budgets of a sequence's positions, going evenly from one to the other; [length].
std::vector<int> ramp(int from, int to, std::int64_t length);

// Mean loss of the oracle whose token at position t of its sequence has budgets[t]. N is a multiple
// of the budgets' number; every budget has a route.
double budgeted_oracle(const RouteLosses& losses, const std::vector<int>& budgets);

// Mean code length of the routes with a budget.
double code_length(const RouteLosses& losses, int budget);

// Mean true loss of the routes that are best for sampled labels.
double sampled_label_oracle(const RouteLosses& losses, const RouteSet& set);

// Mean over tokens of the deviation of a token's loss across the set (population).
double spread(const torch::Tensor& nll, const RouteSet& set);

// The oracle over copies [K, N] of one route, moved so that copy k has the mean of the set's k-th
// route and scaled so that their spread is the set's: what the set's oracle would gain if its
// routes differed by noise. K = R.
struct NullOracle {
  double nll = 0;
  double scale = 1;  // of the copies' deviations
};
NullOracle null_oracle(const torch::Tensor& copies, const torch::Tensor& nll, const RouteSet& set);

// Rank correlation of two [N]; ties share their mean rank.
double spearman(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace switchyard::train::oracle
