#include "routing/testing/cases.h"

#include <cmath>
#include <limits>

#include "base/random.h"

namespace switchyard::routing::testing {
namespace {

constexpr float kHuge = std::numeric_limits<float>::max();
constexpr float kTiny = std::numeric_limits<float>::denorm_min();

template <typename F>
LogitsCase make_case(std::string name, std::size_t items, std::size_t experts, F value) {
  LogitsCase c{std::move(name), {}};
  for (std::size_t n = 0; n < items; ++n) {
    for (std::size_t e = 0; e < experts; ++e) c.logits.push_back(value(n, e));
  }
  return c;
}

}  // namespace

std::vector<float> random_logits(std::size_t items, std::size_t experts, std::uint64_t seed,
                                 float scale) {
  Random random(seed);
  std::vector<float> logits(items * experts);
  for (float& logit : logits) logit = static_cast<float>(random.normal()) * scale;
  return logits;
}

std::vector<LogitsCase> adversarial_logits(std::size_t items, std::size_t experts) {
  const auto f = [](std::size_t x) { return static_cast<float>(x); };
  std::vector<LogitsCase> cases;
  const auto add = [&](std::string name, auto value) {
    cases.push_back(make_case(std::move(name), items, experts, value));
  };
  add("all zero", [](std::size_t, std::size_t) { return 0.0F; });
  add("all equal", [&](std::size_t n, std::size_t) { return f(n) - 3.0F; });
  add("pairs of ties", [&](std::size_t n, std::size_t e) { return f((e / 2 + n) % 5); });
  add("two values", [&](std::size_t n, std::size_t e) { return (e + n) % 3 == 0 ? 1.0F : 0.0F; });
  add("ascending", [&](std::size_t, std::size_t e) { return 0.25F * f(e); });
  add("descending", [&](std::size_t, std::size_t e) { return -0.25F * f(e); });
  add("signed zeros",
      [&](std::size_t n, std::size_t e) { return (e + n) % 2 == 0 ? -0.0F : 0.0F; });
  add("denormals", [&](std::size_t n, std::size_t e) { return kTiny * f((e * 7 + n) % experts); });
  add("huge spread", [&](std::size_t n, std::size_t e) {
    return (e + n) % 4 == 0 ? kHuge : ((e + n) % 4 == 1 ? -kHuge : f(e));
  });
  add("all very negative", [&](std::size_t n, std::size_t e) { return -300.0F - f((e + n) % 7); });
  add("all very positive", [&](std::size_t n, std::size_t e) { return 300.0F + f((e + n) % 7); });
  add("one expert far ahead",
      [&](std::size_t n, std::size_t e) { return e == n % experts ? 90.0F : 0.0F; });
  add("one unit in the last place apart", [&](std::size_t n, std::size_t e) {
    return (e + n) % 2 == 0 ? 1.0F : std::nextafter(1.0F, 2.0F);
  });
  return cases;
}

std::vector<ConfigCase> top_k_variants(int experts, int k) {
  const Config plain{.kind = Kind::top_k, .experts = experts, .experts_per_token = k};
  std::vector<ConfigCase> cases;
  const auto add = [&](std::string name, auto change) {
    ConfigCase c{std::move(name), plain};
    change(c.config);
    cases.push_back(c);
  };
  add("mixtral", [](Config&) {});
  add("softmax after selection", [](Config& c) { c.softmax_after_selection = true; });
  add("olmoe", [](Config& c) { c.renormalize = false; });
  add("sigmoid", [](Config& c) { c.score = Score::sigmoid; });
  add("sigmoid raw", [](Config& c) {
    c.score = Score::sigmoid;
    c.renormalize = false;
  });
  add("biased softmax", [](Config& c) { c.selection_bias = true; });
  add("deepseek v2", [&](Config& c) {
    c.renormalize = false;
    c.groups = 4;
    c.groups_per_token = 2;
    c.group_score = GroupScore::max;
    c.scaling_factor = 16.0F;
  });
  add("deepseek v3", [&](Config& c) {
    c.score = Score::sigmoid;
    c.selection_bias = true;
    c.groups = 4;
    c.groups_per_token = 2;
    c.group_score = GroupScore::top2_sum;
    c.scaling_factor = 2.5F;
  });
  add("softmax with sums of groups", [&](Config& c) {
    c.groups = 4;
    c.groups_per_token = 3;
  });
  add("capacity, drop", [](Config& c) { c.capacity_factor = 1.0F; });
  add("tight capacity, drop, raw", [](Config& c) {
    c.capacity_factor = 0.5F;
    c.renormalize = false;
  });
  add("capacity, next expert", [](Config& c) {
    c.capacity_factor = 1.0F;
    c.overflow = Overflow::next_expert;
  });
  add("tight capacity, next expert, groups, bias", [&](Config& c) {
    c.capacity_factor = 0.6F;
    c.overflow = Overflow::next_expert;
    c.selection_bias = true;
    c.groups = 4;
    c.groups_per_token = 2;
  });
  add("straight through", [](Config& c) { c.gate = Gate::straight_through; });
  add("mass", [](Config& c) {
    c.gate = Gate::mass;
    c.renormalize = false;
  });
  add("no gate", [](Config& c) { c.gate = Gate::none; });
  add("warm", [](Config& c) {
    c.inverse_temperature = 0.5F;
    c.renormalize = false;
  });
  return cases;
}

std::vector<ConfigCase> top_p_variants(int experts) {
  Config plain = default_config(Kind::top_p);
  plain.experts = experts;
  plain.experts_per_token = experts;
  std::vector<ConfigCase> cases;
  const auto add = [&](std::string name, auto change) {
    ConfigCase c{"top p " + std::move(name), plain};
    change(c.config);
    cases.push_back(c);
  };
  add("0.4", [](Config&) {});
  add("0.1, hardly ever two", [](Config& c) { c.threshold = 0.1F; });
  add("0.9 exclusive", [](Config& c) {
    c.threshold = 0.9F;
    c.threshold_inclusive = false;
  });
  add("everything", [](Config& c) { c.threshold = 1.0F; });
  add("renormalised", [](Config& c) { c.renormalize = true; });
  add("2 to 3 experts", [](Config& c) {
    c.min_experts_per_token = 2;
    c.experts_per_token = 3;
  });
  add("mass, scaled", [](Config& c) {
    c.gate = Gate::mass;
    c.scaling_factor = 2.5F;
  });
  add("straight through", [](Config& c) { c.gate = Gate::straight_through; });
  return cases;
}

std::vector<ConfigCase> sigmoid_threshold_variants(int experts) {
  Config plain = default_config(Kind::sigmoid_threshold);
  plain.experts = experts;
  plain.experts_per_token = experts;
  std::vector<ConfigCase> cases;
  const auto add = [&](std::string name, auto change) {
    ConfigCase c{"sigmoid threshold " + std::move(name), plain};
    change(c.config);
    cases.push_back(c);
  };
  add("0.5", [](Config&) {});
  add("0.9 exclusive, possibly none", [](Config& c) {
    c.threshold = 0.9F;
    c.threshold_inclusive = false;
    c.min_experts_per_token = 0;
  });
  add("renormalised, 2 to 3 experts", [](Config& c) {
    c.renormalize = true;
    c.min_experts_per_token = 2;
    c.experts_per_token = 3;
  });
  add("straight through", [](Config& c) { c.gate = Gate::straight_through; });
  return cases;
}

std::vector<ConfigCase> null_expert_variants(int experts) {
  const Config plain{.experts = experts, .experts_per_token = 3, .null_experts = experts};
  std::vector<ConfigCase> cases;
  const auto add = [&](std::string name, auto change) {
    ConfigCase c{"null experts, " + std::move(name), plain};
    change(c.config);
    cases.push_back(c);
  };
  add("as many as experts", [](Config&) {});
  add("one", [](Config& c) { c.null_experts = 1; });
  add("three times as many", [&](Config& c) {
    c.null_experts = 3 * experts;
    c.experts_per_token = 6;
  });
  add("K above E", [&](Config& c) { c.experts_per_token = experts + 2; });
  add("all outputs", [&](Config& c) {
    c.null_experts = 2;
    c.experts_per_token = experts + 2;
  });
  add("K = 1", [](Config& c) { c.experts_per_token = 1; });
  add("normalised over all", [](Config& c) { c.null_weights = NullWeights::all_selected; });
  add("raw", [](Config& c) { c.renormalize = false; });
  add("sigmoid", [](Config& c) { c.score = Score::sigmoid; });
  add("sigmoid, normalised over all", [](Config& c) {
    c.score = Score::sigmoid;
    c.null_weights = NullWeights::all_selected;
  });
  add("mass", [](Config& c) {
    c.gate = Gate::mass;
    c.renormalize = false;
  });
  add("straight through", [](Config& c) { c.gate = Gate::straight_through; });
  return cases;
}

std::vector<ConfigCase> recurrent_variants(int experts, int k) {
  Config plain = default_config(Kind::recurrent);
  plain.experts = experts;
  plain.experts_per_token = k;
  plain.router_hidden = 4;
  std::vector<ConfigCase> cases{
      {"recurrent", plain}, {"recurrent rnn, raw", plain}, {"recurrent, softmax after", plain}};
  cases[1].config.cell = Cell::rnn;
  cases[1].config.state_passing = StatePassing::detach;
  cases[1].config.renormalize = false;
  cases[2].config.softmax_after_selection = true;
  cases[2].config.state_passing = StatePassing::none;
  cases.push_back({"two layers", {.experts = experts, .experts_per_token = k, .router_hidden = 4}});
  return cases;
}

std::vector<ConfigCase> expert_choice_variants(int experts, int k) {
  const Config plain{.kind = Kind::expert_choice, .experts = experts, .experts_per_token = k};
  std::vector<ConfigCase> cases{
      {"expert choice", plain}, {"expert choice raw", plain}, {"expert choice sigmoid", plain}};
  cases[1].config.renormalize = false;
  cases[2].config.score = Score::sigmoid;
  return cases;
}

}  // namespace switchyard::routing::testing
