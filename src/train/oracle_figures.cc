#include "train/oracle_figures.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/svg_plot.h"
#include "train/statistics.h"

namespace switchyard::train {
namespace {

const char* const kShownCurves[] = {
    oracle::kOracle,       oracle::kSequential,  oracle::kSequentialFixed, oracle::kCodeLength,
    oracle::kSampledLabel, oracle::kNull,        oracle::kFixed,           oracle::kMeanRoute,
    oracle::kRandomSet,    oracle::kRandomToken, oracle::kEqualRoutes,     oracle::kSkipOracle,
    oracle::kSkipFixed};

// Mean over seeds of what `value` says of each; nothing where a seed has none.
template <typename Value>
std::optional<double> over_seeds(const std::vector<SeedResult>& seeds, Value value) {
  std::vector<double> values;
  for (const SeedResult& seed : seeds) {
    if (const std::optional<double> v = value(seed)) values.push_back(*v);
  }
  return values.empty() ? std::nullopt : std::optional(mean(values));
}

std::optional<double> curve_at(const SeedResult& seed, const char* curve, int b) {
  return seed.study.curves.at(curve)[static_cast<std::size_t>(b)] * seed.per_byte;
}

template <typename Value>
std::optional<double> router_at(const SeedResult& seed, int b, Value value) {
  for (const RouterResult& router : seed.routers) {
    if (router.budget == b) return value(router);
  }
  return std::nullopt;
}

struct RouterCurve {
  const char* name;
  double (*nats)(const RouterResult&);
};
constexpr RouterCurve kRouterCurves[] = {
    {"router, soft mixture", [](const RouterResult& r) { return r.plain.soft; }},
    {"router, hard", [](const RouterResult& r) { return r.plain.hard; }},
    {"router, hard at its budget", [](const RouterResult& r) { return r.calibrated; }},
    {"router, b layers of each token", [](const RouterResult& r) { return r.plain.top_b; }}};

}  // namespace

nlohmann::json curves_table(const std::vector<SeedResult>& seeds) {
  const int layers = seeds.front().study.layers;
  nlohmann::json columns = {"bits per byte with b big layers"};
  for (int b = 0; b <= layers; ++b) columns.push_back(std::to_string(b));
  nlohmann::json rows = nlohmann::json::array();
  const auto add = [&](const char* name, auto value) {
    nlohmann::json row = {name};
    for (int b = 0; b <= layers; ++b) {
      const auto mean_value = over_seeds(seeds, [&](const SeedResult& s) { return value(s, b); });
      row.push_back(mean_value ? nlohmann::json(fmt::format("{:.3f}", *mean_value))
                               : nlohmann::json(""));
    }
    rows.push_back(std::move(row));
  };
  for (const char* curve : kShownCurves) {
    add(curve, [&](const SeedResult& s, int b) { return curve_at(s, curve, b); });
  }
  for (const RouterCurve& curve : kRouterCurves) {
    add(curve.name, [&](const SeedResult& s, int b) {
      return router_at(s, b, [&](const RouterResult& r) { return curve.nats(r) * s.per_byte; });
    });
  }
  add("router, share of hard choices that are big", [](const SeedResult& s, int b) {
    return router_at(s, b, [](const RouterResult& r) { return r.plain.hard_share; });
  });
  add("router, mean probability of big", [](const SeedResult& s, int b) {
    return router_at(s, b, [](const RouterResult& r) { return r.plain.soft_share; });
  });
  add(oracle::kSpread, [](const SeedResult& s, int b) { return curve_at(s, oracle::kSpread, b); });
  return {{"title", "Routes and routers by budget"}, {"columns", columns}, {"rows", rows}};
}

std::string curves_plot(const std::vector<SeedResult>& seeds) {
  const int layers = seeds.front().study.layers;
  plot::LinePlot out = {
      .title = "Routes chosen with the answer in view, and routers",
      .subtitle =
          "oracles use the true next byte; code length and null routes say what of it is "
          "hindsight",
      .x = {.label = "big layers of a token"},
      .y = {.label = "loss", .unit = "bits/byte"},
      .width = 860,
      .height = 560};
  const auto add = [&](const char* name, plot::LineStyle style, auto value) {
    plot::Series series = {.name = name, .style = style};
    for (int b = 0; b <= layers; ++b) {
      if (const auto y = over_seeds(seeds, [&](const SeedResult& s) { return value(s, b); })) {
        series.x.push_back(b);
        series.y.push_back(*y);
      }
    }
    if (!series.x.empty()) out.series.push_back(std::move(series));
  };
  // O2 has fewer sequences: its distance to the fixed route on those, from the fixed route on all.
  add("oracle, sequential (O2): its gain on its sequences", plot::LineStyle::line_and_markers,
      [&](const SeedResult& s, int b) -> std::optional<double> {
        return *curve_at(s, oracle::kFixed, b) + *curve_at(s, oracle::kSequential, b) -
               *curve_at(s, oracle::kSequentialFixed, b);
      });
  for (const char* curve :
       {oracle::kOracle, oracle::kCodeLength, oracle::kNull, oracle::kFixed, oracle::kMeanRoute}) {
    add(curve, plot::LineStyle::line_and_markers,
        [&](const SeedResult& s, int b) { return curve_at(s, curve, b); });
  }
  for (const RouterCurve& curve : kRouterCurves) {
    add(curve.name, plot::LineStyle::markers, [&](const SeedResult& s, int b) {
      return router_at(s, b, [&](const RouterResult& r) { return curve.nats(r) * s.per_byte; });
    });
  }
  return plot::to_svg(out);
}

std::string usage_plot(const std::vector<SeedResult>& seeds) {
  const int layers = seeds.front().study.layers;
  plot::HeatMap out = {.title = "Who uses the big expert where",
                       .subtitle = "share of tokens; oracle with uniform prefix, and hard routers",
                       .x_label = "layer",
                       .y_label = "budget (big layers)",
                       .columns = static_cast<std::size_t>(layers),
                       .value = {.label = "share of big", .min = 0.0, .max = 1.0},
                       .show_values = true};
  const auto add_row = [&](const std::string& name, auto value) {
    std::vector<double> row;
    for (int l = 0; l < layers; ++l) {
      const auto share = over_seeds(seeds, [&](const SeedResult& s) { return value(s, l); });
      if (!share) return;
      row.push_back(*share);
    }
    out.row_names.push_back(name);
    out.values.insert(out.values.end(), row.begin(), row.end());
    ++out.rows;
  };
  for (int b = 1; b < layers; ++b) {
    add_row(fmt::format("oracle {}", b), [&](const SeedResult& s, int l) -> std::optional<double> {
      return s.study.big_share[static_cast<std::size_t>(b)][static_cast<std::size_t>(l)];
    });
  }
  for (int b = 1; b < layers; ++b) {
    add_row(fmt::format("router {}", b), [&](const SeedResult& s, int l) {
      return router_at(s, b, [&](const RouterResult& r) {
        return r.plain.layer_share[static_cast<std::size_t>(l)];
      });
    });
  }
  return plot::to_svg(out);
}

}  // namespace switchyard::train
