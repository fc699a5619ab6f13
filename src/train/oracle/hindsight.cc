#include "train/oracle/hindsight.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include <torch/types.h>

#include "base/check.h"
#include "base/random.h"

namespace switchyard::train::oracle {
namespace {

torch::Tensor rows_of(const torch::Tensor& values, const RouteSet& set) {
  SWITCHYARD_CHECK(!set.empty());
  return values.index_select(0, torch::tensor(set));
}

double mean_of(const torch::Tensor& values) {
  return values.to(torch::kFloat64).mean().item<double>();
}

torch::Tensor mean_ranks(const torch::Tensor& values) {
  const auto flat = values.to(torch::kFloat64).contiguous();
  const auto n = static_cast<std::size_t>(flat.numel());
  const double* v = flat.data_ptr<double>();
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return v[a] < v[b]; });
  auto ranks = torch::empty({flat.numel()}, torch::kFloat64);
  double* rank = ranks.data_ptr<double>();
  for (std::size_t from = 0; from < n;) {
    std::size_t to = from;
    while (to < n && v[order[to]] == v[order[from]]) ++to;
    for (std::size_t i = from; i < to; ++i) {
      rank[order[i]] = 0.5 * static_cast<double>(from + to - 1);
    }
    from = to;
  }
  return ranks;
}

}  // namespace

Choice oracle(const torch::Tensor& nll, const RouteSet& set) {
  const auto [lowest, place] = rows_of(nll, set).min(0);
  return {.nll = lowest, .route = torch::tensor(set).index_select(0, place)};
}

FixedRoute best_fixed(const torch::Tensor& nll, const RouteSet& set) {
  const auto means = rows_of(nll, set).to(torch::kFloat64).mean(1);
  const auto [lowest, place] = means.min(0);
  return {.route = set[static_cast<std::size_t>(place.item<std::int64_t>())],
          .nll = lowest.item<double>()};
}

double random_per_set(const torch::Tensor& nll, const RouteSet& set, int draws,
                      std::uint64_t seed) {
  const auto means = rows_of(nll, set).to(torch::kFloat64).mean(1);
  Random random(seed);
  double best = std::numeric_limits<double>::infinity();
  for (int k = 0; k < draws; ++k) {
    best =
        std::min(best, means[static_cast<std::int64_t>(random.below(set.size()))].item<double>());
  }
  return best;
}

double random_per_token(const torch::Tensor& nll, const RouteSet& set, int draws,
                        std::uint64_t seed) {
  const auto rows = rows_of(nll, set).contiguous();
  const auto tokens = rows.size(1);
  const float* loss = rows.data_ptr<float>();
  double sum = 0;
  for (std::int64_t n = 0; n < tokens; ++n) {
    Random random(RandomKey{.seed = seed, .step = static_cast<std::uint64_t>(n)});
    float best = std::numeric_limits<float>::infinity();
    for (int k = 0; k < draws; ++k) {
      const auto r = static_cast<std::int64_t>(random.below(set.size()));
      best = std::min(best, loss[r * tokens + n]);
    }
    sum += static_cast<double>(best);
  }
  return sum / static_cast<double>(tokens);
}

SampledOracle sampled_oracle(const torch::Tensor& nll, const RouteSet& set, std::size_t k,
                             std::uint64_t seed) {
  SampledOracle out{.routes = set};
  Random random(seed);
  k = std::min(k, set.size());
  for (std::size_t j = 0; j < k; ++j) {
    std::swap(out.routes[j], out.routes[j + random.below(set.size() - j)]);
  }
  out.routes.resize(k);
  std::sort(out.routes.begin(), out.routes.end());
  out.nll = mean_of(oracle(nll, out.routes).nll);
  return out;
}

std::vector<int> ramp(int from, int to, std::int64_t length) {
  std::vector<int> budgets;
  for (std::int64_t t = 0; t < length; ++t) {
    // The middle of each position, so that both directions have the same mean.
    const double done = (static_cast<double>(t) + 0.5) / static_cast<double>(length);
    budgets.push_back(static_cast<int>(std::lround(from + (to - from) * done)));
  }
  return budgets;
}

double budgeted_oracle(const RouteLosses& losses, const std::vector<int>& budgets) {
  const auto length = static_cast<std::int64_t>(budgets.size());
  std::map<int, torch::Tensor> lowest;  // [S, T], by budget
  torch::Tensor chosen;
  for (std::int64_t t = 0; t < length; ++t) {
    auto& nll = lowest[budgets[static_cast<std::size_t>(t)]];
    if (!nll.defined()) {
      const auto set = with_budget(losses.routes, budgets[static_cast<std::size_t>(t)]);
      nll = oracle(losses.nll, set).nll.view({-1, length});
    }
    if (!chosen.defined()) chosen = torch::empty_like(nll);
    chosen.select(1, t).copy_(nll.select(1, t));
  }
  return mean_of(chosen);
}

double code_length(const RouteLosses& losses, int budget) {
  const auto set = with_budget(losses.routes, budget);
  return mean_of(oracle(losses.nll, set).nll) + mean_of(losses.log_z.at(budget));
}

double sampled_label_oracle(const RouteLosses& losses, const RouteSet& set) {
  const auto chosen = oracle(losses.sampled_nll, set).route;
  return mean_of(losses.nll.gather(0, chosen.unsqueeze(0)));
}

double spread(const torch::Tensor& nll, const RouteSet& set) {
  return mean_of(rows_of(nll, set).to(torch::kFloat64).std(0, /*unbiased=*/false));
}

NullOracle null_oracle(const torch::Tensor& copies, const torch::Tensor& nll, const RouteSet& set) {
  SWITCHYARD_CHECK(copies.size(0) == static_cast<std::int64_t>(set.size()));
  const auto means = rows_of(nll, set).to(torch::kFloat64).mean(1, /*keepdim=*/true);
  const auto raw = copies.to(torch::kFloat64);
  // What the copies share stays; only their differences are noise.
  const auto common = raw.mean(0, /*keepdim=*/true);
  auto noise = raw - common;
  noise = noise - noise.mean(1, /*keepdim=*/true);
  const auto base = common - common.mean() + means;
  const auto spread_with = [&](double scale) {
    return mean_of((base + scale * noise).std(0, /*unbiased=*/false));
  };
  NullOracle out;
  const double wanted = spread(nll, set);
  // The spread grows with the scale; the means alone may already have more of it.
  double low = 0, high = 1;
  while (spread_with(high) < wanted && high < 1e6) high *= 2;
  for (int i = 0; i < 60; ++i) {
    out.scale = 0.5 * (low + high);
    (spread_with(out.scale) < wanted ? low : high) = out.scale;
  }
  out.nll = mean_of(std::get<0>((base + out.scale * noise).min(0)));
  return out;
}

double spearman(const torch::Tensor& a, const torch::Tensor& b) {
  const auto centred = [](const torch::Tensor& values) {
    const auto ranks = mean_ranks(values);
    return ranks - ranks.mean();
  };
  const auto x = centred(a), y = centred(b);
  const double scale = (x.norm() * y.norm()).item<double>();
  return scale == 0 ? 0.0 : (x * y).sum().item<double>() / scale;
}

}  // namespace switchyard::train::oracle
