#include "train/oracle/routes.h"

#include <algorithm>
#include <fmt/format.h>

#include "switchyard/error.h"
#include "switchyard/routing.h"

#include "base/check.h"

namespace switchyard::train::oracle {
namespace {

constexpr std::size_t kMaxRoutes = 1U << 16;

struct Enumeration {
  int layers;
  std::optional<int> budget;
  std::span<const std::int32_t> options;
  Route route = {};
  std::vector<Route> routes = {};

  // Extends the route by every option, where the budget can still be met.
  void extend(int big) {
    const int left = layers - static_cast<int>(route.size());
    if (budget && (big > *budget || big + left < *budget)) return;
    if (left == 0) {
      routes.push_back(route);
      if (routes.size() > kMaxRoutes) {
        throw Error({.what = fmt::format("there are more than {} routes", kMaxRoutes),
                     .where = fmt::format("{} layers, {} options", layers, options.size()),
                     .expected = "few enough to try each",
                     .fix = "give a budget, or use a model with fewer layers"});
      }
      return;
    }
    for (const std::int32_t option : options) {
      route.push_back(option);
      extend(big + (option == kBig ? 1 : 0));
      route.pop_back();
    }
  }
};

}  // namespace

int budget_of(const Route& route) {
  return static_cast<int>(std::count(route.begin(), route.end(), kBig));
}

std::vector<Route> enumerate_routes(int layers, std::optional<int> budget,
                                    std::span<const std::int32_t> options) {
  SWITCHYARD_CHECK(layers >= 1 && !options.empty());
  Enumeration all{.layers = layers, .budget = budget, .options = options};
  all.extend(0);
  return std::move(all.routes);
}

std::vector<std::int64_t> with_budget(std::span<const Route> routes, int budget) {
  std::vector<std::int64_t> places;
  for (std::size_t r = 0; r < routes.size(); ++r) {
    if (budget_of(routes[r]) == budget) places.push_back(static_cast<std::int64_t>(r));
  }
  return places;
}

std::string to_text(const Route& route) {
  std::string text;
  for (const std::int32_t option : route) {
    text += option == kBig                 ? std::string("B")
            : option == kSmall             ? "S"
            : option == routing::kNoExpert ? "-"
                                           : std::to_string(option);
  }
  return text;
}

}  // namespace switchyard::train::oracle
