#include "train/oracle/route_study.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include <torch/types.h>

#include "switchyard/error.h"
#include "switchyard/runtime.h"

#include "base/check.h"
#include "train/oracle/hindsight.h"
#include "train/oracle/route_losses.h"
#include "train/oracle/sequential.h"

namespace switchyard::train::oracle {
namespace {

constexpr std::int32_t kOptions[] = {kBig, kSmall};
constexpr std::int32_t kSkipOptions[] = {kBig, routing::kNoExpert};

void check_stop(const StudyOptions& options) {
  if (options.stop.stop_requested()) throw Cancelled();
}

double mean_of(const torch::Tensor& values) {
  return values.to(torch::kFloat64).mean().item<double>();
}

// Share of tokens whose chosen route is big in each layer.
std::vector<double> share_of_big(const std::vector<Route>& routes, const torch::Tensor& chosen) {
  const auto counts =
      torch::bincount(chosen, {}, static_cast<std::int64_t>(routes.size())).to(torch::kFloat64);
  std::vector<double> share(routes.front().size(), 0.0);
  for (std::size_t r = 0; r < routes.size(); ++r) {
    const double part =
        counts[static_cast<std::int64_t>(r)].item<double>() / static_cast<double>(chosen.numel());
    for (std::size_t l = 0; l < share.size(); ++l) share[l] += routes[r][l] == kBig ? part : 0.0;
  }
  return share;
}

class Study {
 public:
  Study(FileSystem& fs, const std::string& directory, models::Decoder& model,
        const torch::Tensor& windows, const StudyOptions& options)
      : model_(model), windows_(windows), options_(options) {
    out_.layers = static_cast<int>(model.layers.size());
    losses_ = measure_routes(model, windows, enumerate_routes(out_.layers, std::nullopt, kOptions),
                             options.batch, options.seed);
    engine_ = std::make_unique<runtime::Engine>(runtime::Model::open(fs, directory),
                                                runtime::Engine::Options{});
  }

  RouteStudy run() {
    for (int b = 0; b <= out_.layers; ++b) {
      check_stop(options_);
      in_hindsight(b);
      by_noise(b);
      one_after_another(b);
    }
    with_skips();
    whole_set();
    shapes();
    return std::move(out_);
  }

 private:
  void add(const char* curve, double value) { out_.curves[curve].push_back(value); }

  void in_hindsight(int b) {
    const auto set = with_budget(losses_.routes, b);
    const auto best = oracle(losses_.nll, set);
    add(kOracle, mean_of(best.nll));
    out_.big_share.push_back(share_of_big(losses_.routes, best.route));
    add(kCodeLength, code_length(losses_, b));
    add(kSampledLabel, sampled_label_oracle(losses_, set));
    add(kFixed, best_fixed(losses_.nll, set).nll);
    add(kMeanRoute, mean_of(losses_.nll.index_select(0, torch::tensor(set))));
    add(kRandomSet, random_per_set(losses_.nll, set, options_.random_routes, options_.seed));
    add(kRandomToken, random_per_token(losses_.nll, set, options_.random_routes, options_.seed));
    add(kEqualRoutes, sampled_oracle(losses_.nll, set, options_.equal_routes, options_.seed).nll);
    add(kSpread, spread(losses_.nll, set));
  }

  void by_noise(int b) {
    const auto set = with_budget(losses_.routes, b);
    const auto fixed = best_fixed(losses_.nll, set);
    const auto copies = perturbed_losses(
        model_, windows_, losses_.routes[static_cast<std::size_t>(fixed.route)],
        static_cast<std::int64_t>(set.size()), options_.dropout, options_.batch, options_.seed);
    add(kNull, null_oracle(copies, losses_.nll, set).nll);
  }

  void one_after_another(int b) {
    const auto set = with_budget(losses_.routes, b);
    std::vector<Route> routes;
    for (const auto r : set) routes.push_back(losses_.routes[static_cast<std::size_t>(r)]);
    const Route fixed =
        losses_.routes[static_cast<std::size_t>(best_fixed(losses_.nll, set).route)];
    const std::int64_t length = options_.sequential_tokens > 0
                                    ? std::min(options_.sequential_tokens, windows_.size(1) - 1)
                                    : windows_.size(1) - 1;
    const std::int64_t count = std::min(options_.sequential_windows, windows_.size(0));
    double greedy = 0, plain = 0;
    for (std::int64_t s = 0; s < count; ++s) {
      check_stop(options_);
      // Evenly spread over the sequences of the other curves.
      const auto row = windows_[s * windows_.size(0) / count]
                           .narrow(0, 0, length + 1)
                           .to(torch::kInt32)
                           .contiguous();
      const std::span tokens(row.data_ptr<std::int32_t>(), static_cast<std::size_t>(length + 1));
      const auto chosen = sequential_oracle(*engine_, tokens, routes).nll;
      greedy += std::accumulate(chosen.begin(), chosen.end(), 0.0);
      const auto same =
          replay(*engine_, tokens, std::vector<Route>(static_cast<std::size_t>(length), fixed));
      plain += std::accumulate(same.begin(), same.end(), 0.0);
    }
    add(kSequential, greedy / static_cast<double>(count * length));
    add(kSequentialFixed, plain / static_cast<double>(count * length));
  }

  void with_skips() {
    check_stop(options_);
    const auto routes = enumerate_routes(out_.layers, std::nullopt, kSkipOptions);
    const auto skips = measure_routes(model_, windows_, routes, options_.batch, options_.seed);
    for (int b = 0; b <= out_.layers; ++b) {
      const auto set = with_budget(routes, b);
      add(kSkipOracle, mean_of(oracle(skips.nll, set).nll));
      add(kSkipFixed, best_fixed(skips.nll, set).nll);
    }
  }

  void shapes() {
    const auto length = windows_.size(1) - 1;
    const int middle = out_.layers / 2, half = std::min(middle, out_.layers >= 4 ? 2 : 1);
    const int low = middle - half, high = middle + half;
    out_.falling_budget = budgeted_oracle(losses_, ramp(high, low, length));
    out_.rising_budget = budgeted_oracle(losses_, ramp(low, high, length));
    out_.constant_budget = budgeted_oracle(losses_, ramp(middle, middle, length));
  }

  void whole_set() {
    RouteSet all(losses_.routes.size());
    std::iota(all.begin(), all.end(), std::int64_t{0});
    const auto best = oracle(losses_.nll, all);
    const auto big = losses_.nll[0], small = losses_.nll[all.back()];
    out_.all_big = mean_of(big);
    out_.all_small = mean_of(small);
    out_.best_of_all = mean_of(best.nll);
    out_.delta_rank_correlation = spearman(small - best.nll, small);
    const auto length = windows_.size(1) - 1;
    const auto targets = windows_.narrow(1, 1, length).reshape({-1});
    for (std::int64_t n = 0; n < targets.numel(); ++n) {
      out_.tokens.push_back(
          {.token = targets[n].item<std::int64_t>(),
           .small = small[n].item<double>(),
           .big = big[n].item<double>(),
           .oracle = best.nll[n].item<double>(),
           .route = to_text(
               losses_.routes[static_cast<std::size_t>(best.route[n].item<std::int64_t>())])});
    }
  }

  models::Decoder& model_;
  const torch::Tensor& windows_;
  const StudyOptions& options_;
  RouteLosses losses_;
  std::unique_ptr<runtime::Engine> engine_;
  RouteStudy out_;
};

}  // namespace

RouteStudy study_routes(FileSystem& fs, const std::string& directory, models::Decoder& model,
                        const torch::Tensor& windows, const StudyOptions& options) {
  return Study(fs, directory, model, windows, options).run();
}

std::string to_json_lines(const std::vector<TokenDifficulty>& tokens) {
  std::string lines;
  for (const TokenDifficulty& token : tokens) {
    const nlohmann::ordered_json line = {{"token", token.token},
                                         {"loss_small", token.small},
                                         {"loss_big", token.big},
                                         {"loss_oracle", token.oracle},
                                         {"delta", token.small - token.oracle},
                                         {"delta_big", token.small - token.big},
                                         {"route", token.route}};
    lines += line.dump() + "\n";
  }
  return lines;
}

}  // namespace switchyard::train::oracle
