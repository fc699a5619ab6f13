#include <cmath>
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "switchyard/error.h"
#include "switchyard/routing.h"

#include "routing/testing/cases.h"

namespace switchyard::routing {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

Error::Parts parts_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.parts();
  }
  ADD_FAILURE() << "no Error";
  return {};
}

Error::Parts read_error(const std::string& text) {
  return parts_of([&] { config_from_json(json::parse(text), "recipe.toml"); });
}

void expect_refused(const char* knob, const std::function<void(Config&)>& change) {
  Config config{.experts = 8, .experts_per_token = 2};
  change(config);
  const auto parts = parts_of([&] { validate(config); });
  EXPECT_THAT(parts.what, HasSubstr(std::string("'") + knob + "'"));
  EXPECT_FALSE(parts.expected.empty());
}

TEST(Config, EachBrokenRuleNamesItsKnob) {
  expect_refused("experts", [](Config& c) { c.experts = 0; });
  expect_refused("experts", [](Config& c) { c.experts = 1 << 20; });
  expect_refused("experts_per_token", [](Config& c) { c.experts_per_token = 0; });
  expect_refused("experts_per_token", [](Config& c) { c.experts_per_token = 9; });
  expect_refused("scaling_factor", [](Config& c) { c.scaling_factor = 0.0F; });
  expect_refused("scaling_factor", [](Config& c) { c.scaling_factor = NAN; });
  expect_refused("softmax_after_selection", [](Config& c) {
    c.score = Score::sigmoid;
    c.softmax_after_selection = true;
  });
  expect_refused("gate", [](Config& c) { c.gate = Gate::mass; });
  expect_refused("groups", [](Config& c) { c.groups = 3; });
  expect_refused("groups", [](Config& c) { c.groups = 0; });
  expect_refused("groups_per_token", [](Config& c) { c.groups_per_token = 2; });
  expect_refused("experts_per_token", [](Config& c) {
    c.groups = 8;
    c.groups_per_token = 1;
  });
  expect_refused("capacity_factor", [](Config& c) { c.capacity_factor = -1.0F; });
  expect_refused("capacity_factor", [](Config& c) { c.capacity_factor = INFINITY; });
  expect_refused("overflow", [](Config& c) { c.overflow = Overflow::next_expert; });
  expect_refused("losses.z_coefficient", [](Config& c) { c.losses.z_coefficient = -0.1F; });
  const auto random_with = [](Config& c, std::vector<float> shares) {
    c = {.kind = Kind::random, .experts = 2, .experts_per_token = 1};
    c.probabilities = std::move(shares);
  };
  expect_refused("probabilities (their number)", [&](Config& c) { random_with(c, {1.0F}); });
  expect_refused("probabilities (their sum)", [&](Config& c) { random_with(c, {0.5F, 0.4F}); });
  expect_refused("probabilities", [&](Config& c) { random_with(c, {1.5F, -0.5F}); });
  expect_refused("probabilities", [&](Config& c) { random_with(c, {NAN, 1.0F}); });
  expect_refused("experts_per_token", [&](Config& c) {
    random_with(c, {0.5F, 0.5F});
    c.experts_per_token = 2;
  });
  expect_refused("inverse_temperature", [](Config& c) { c.inverse_temperature = 0.0F; });
  expect_refused("inverse_temperature", [](Config& c) { c.inverse_temperature = INFINITY; });
  expect_refused("capacity_factor", [](Config& c) {
    c.soft_training = true;
    c.capacity_factor = 1.0F;
  });
  expect_refused("losses.budget", [](Config& c) { c.losses.budget_coefficient = 1.0F; });
  expect_refused("losses.budget", [](Config& c) { c.losses.budget = {1.5F}; });
  expect_refused("losses.budget (its sum)", [](Config& c) { c.losses.budget = {0.6F, 0.6F}; });
  expect_refused("losses.budget_scope",
                 [](Config& c) { c.losses.budget_scope = LossConfig::BudgetScope::batch; });
  expect_refused("losses.balance_coefficient", [](Config& c) {
    c.kind = Kind::expert_choice;
    c.losses.balance_coefficient = 0.1F;
  });
}

TEST(Config, ThresholdsAndNullExpertsAreChecked) {
  for (const float p : {0.0F, -0.5F, 1.5F, static_cast<float>(NAN)}) {
    expect_refused("threshold", [p](Config& c) {
      c = default_config(Kind::top_p);
      c.threshold = p;
    });
  }
  expect_refused("min_experts_per_token", [](Config& c) {
    c = default_config(Kind::top_p);
    c.min_experts_per_token = 3;
  });
  expect_refused("null_experts", [](Config& c) { c.null_experts = -1; });
  expect_refused("experts_per_token", [](Config& c) {
    c.null_experts = 4;
    c.experts_per_token = 13;
  });
  expect_refused("null_weights", [](Config& c) { c.null_weights = NullWeights::all_selected; });
  expect_refused("null_weights", [](Config& c) {
    c.null_experts = 4;
    c.null_weights = NullWeights::all_selected;
    c.renormalize = false;
  });
  expect_refused("losses.null_balance",
                 [](Config& c) { c.losses.null_balance = LossConfig::NullBalance::individual; });
  expect_refused("groups", [](Config& c) {
    c.null_experts = 8;
    c.groups = 2;
  });
  expect_refused("capacity_factor", [](Config& c) {
    c.null_experts = 8;
    c.capacity_factor = 1.0F;
  });
  expect_refused("selection_bias", [](Config& c) {
    c.null_experts = 8;
    c.selection_bias = true;
  });
  expect_refused("losses.entropy_coefficient",
                 [](Config& c) { c.losses.entropy_coefficient = -1.0F; });
}

TEST(Config, TopPMayLeaveItsLimitOut) {
  const auto config = config_from_json(
      json::parse(R"({"kind": "top_p", "experts": 16, "threshold": 0.3})"), "recipe.toml");
  EXPECT_EQ(config.experts_per_token, 16);
  EXPECT_FALSE(config.renormalize);
  EXPECT_EQ(config.losses.fraction, LossConfig::Fraction::per_item);
  EXPECT_EQ(config_from_json(to_json(config), "x"), config);
}

TEST(Config, MostExpertsPerItem) {
  EXPECT_EQ(most_experts_per_item({.experts = 8, .experts_per_token = 3}), 3);
  EXPECT_EQ(most_experts_per_item({.experts = 8, .experts_per_token = 12, .null_experts = 8}), 8);
  EXPECT_EQ(most_experts_per_item({.kind = Kind::expert_choice}), 8);
  Config top_p = default_config(Kind::top_p);
  top_p.experts = top_p.experts_per_token = 16;
  top_p.threshold = 0.4F;
  EXPECT_EQ(most_experts_per_item(top_p), 8);  // ceil(0.4 * 16) and one for rounding
  top_p.experts_per_token = 3;
  EXPECT_EQ(most_experts_per_item(top_p), 3);
}

TEST(Config, AKnobThatTheKindDoesNotReadIsRefused) {
  const auto parts = parts_of([] { validate({.kind = Kind::hash, .score = Score::sigmoid}); });
  EXPECT_THAT(parts.what, AllOf(HasSubstr("'score'"), HasSubstr("'hash'")));
  EXPECT_THAT(parts.expected, HasSubstr("scaling_factor, seed"));
  EXPECT_EQ(parts.fix, "remove it");
  expect_refused("seed", [](Config& c) { c.seed = 1; });
}

TEST(Config, RouteValidates) {
  State state;
  EXPECT_THROW(route({.experts = 4, .experts_per_token = 5}, {}, state), Error);
}

TEST(Config, EveryVariantIsValidAndSurvivesJson) {
  auto cases = testing::top_k_variants(8, 2);
  for (auto& c : testing::top_p_variants(8)) cases.push_back(c);
  for (auto& c : testing::null_expert_variants(8)) cases.push_back(c);
  for (auto& c : testing::expert_choice_variants(8, 2)) cases.push_back(c);
  cases.push_back({"hash", {.kind = Kind::hash, .scaling_factor = 0.1F, .seed = ~0ULL}});
  cases.push_back({"random", {.kind = Kind::random}});
  cases.push_back({"losses",
                   {.frozen = true,
                    .losses = {.balance = LossConfig::Balance::gshard,
                               .fraction = LossConfig::Fraction::per_item,
                               .balance_coefficient = 0.01F,
                               .z_coefficient = 1e-3F,
                               .importance_coefficient = 0.7F}}});
  for (const auto& c : cases) {
    EXPECT_NO_THROW(validate(c.config)) << c.name;
    // Through text, as in a file.
    const auto text = to_json(c.config).dump();
    EXPECT_EQ(config_from_json(json::parse(text), "x"), c.config) << c.name << ": " << text;
  }
}

TEST(Config, JsonLeavesDefaultsOutAndWritesShortNumbers) {
  EXPECT_EQ(to_json({.experts = 8, .experts_per_token = 2}).dump(),
            R"({"experts":8,"experts_per_token":2,"kind":"top_k"})");
  EXPECT_EQ(to_json({.losses = {.balance_coefficient = 0.01F}})["losses"].dump(),
            R"({"balance_coefficient":0.01})");
}

TEST(Config, UnknownKnobsListTheKnownOnesAndGuess) {
  const auto parts =
      read_error(R"({"kind":"top_k","experts":8,"experts_per_token":2,"capacty_factor":1})");
  EXPECT_EQ(parts.what, "unknown router knob 'capacty_factor'");
  EXPECT_EQ(parts.where, "recipe.toml");
  EXPECT_THAT(parts.expected, AllOf(HasSubstr("capacity_factor"), HasSubstr("groups_per_token")));
  EXPECT_EQ(parts.fix, "did you mean 'capacity_factor'?");

  const auto loss = read_error(
      R"({"kind":"top_k","experts":8,"experts_per_token":2,"losses":{"balance_coef":1}})");
  EXPECT_EQ(loss.fix, "did you mean 'balance'?");
  EXPECT_THAT(loss.expected, HasSubstr("z_coefficient"));

  EXPECT_EQ(read_error(R"({"kind":"top_k","experts":8,"experts_per_token":2,"q":1})").fix, "");
}

TEST(Config, WrongTypesNameTheKnobAndTheValue) {
  const auto with = [](const std::string& rest) {
    return R"({"kind":"top_k","experts":8,"experts_per_token":2,)" + rest + "}";
  };
  const auto parts = read_error(with(R"("renormalize":"yes")"));
  EXPECT_THAT(parts.what, HasSubstr(R"("yes")"));
  EXPECT_EQ(parts.where, "recipe.toml: renormalize");
  EXPECT_EQ(parts.expected, "true or false");

  EXPECT_EQ(read_error(with(R"("score":"sigmod")")).fix, "did you mean 'sigmoid'?");
  EXPECT_EQ(read_error(with(R"("score":3)")).expected, "one of softmax, sigmoid");
  EXPECT_EQ(read_error(with(R"("groups":1.5)")).expected, "a whole number of 32 bits");
  EXPECT_EQ(read_error(with(R"("groups":4294967297)")).expected, "a whole number of 32 bits");
  EXPECT_EQ(read_error(with(R"("groups":-4294967297)")).expected, "a whole number of 32 bits");
  EXPECT_EQ(read_error(with(R"("scaling_factor":1e99)")).expected,
            "a finite number of single precision");
  EXPECT_EQ(read_error(with(R"("scaling_factor":null)")).expected, "a number");
  EXPECT_EQ(read_error(with(R"("seed":-1)")).expected, "a whole number from 0 to 2^64 - 1");
  EXPECT_EQ(read_error(with(R"("losses":[])")).expected, "an object");
  // A long value is cut, so that the message stays one readable line.
  EXPECT_LT(read_error(with("\"score\":\"" + std::string(5000, 'x') + "\"")).what.size(), 100U);
}

TEST(Config, KindIsOneOfTheTable) {
  const auto parts = read_error(R"({"kind":"topk","experts":8,"experts_per_token":2})");
  std::string names;
  for (const Method& m : methods()) names += (names.empty() ? "" : ", ") + std::string(m.name);
  EXPECT_EQ(parts.expected, "one of " + names);
  EXPECT_EQ(parts.fix, "did you mean 'top_k'?");
  EXPECT_EQ(read_error(R"({"kind":1,"experts":8,"experts_per_token":2})").where,
            "recipe.toml: kind");
}

TEST(Config, MissingKnobsAndOtherShapesAreRefused) {
  EXPECT_EQ(read_error(R"({"kind":"top_k","experts":8})").what,
            "router knob 'experts_per_token' is missing");
  EXPECT_EQ(read_error("[]").what, "router settings are not an object");
}

TEST(Config, InvalidCombinationsInAFileNameTheFile) {
  EXPECT_EQ(read_error(R"({"kind":"top_k","experts":8,"experts_per_token":9})").where,
            "recipe.toml");
}

TEST(Methods, TheTableIsWholeAndNamesAreUnique) {
  for (const Method& m : methods()) {
    EXPECT_EQ(kind_from_name(m.name), m.kind);
    EXPECT_EQ(&method(m.kind), &m);
    EXPECT_NE(m.route, nullptr);
    EXPECT_FALSE(m.what.empty() || m.paper.empty());
  }
  EXPECT_EQ(kind_from_name("top_q"), std::nullopt);
}

TEST(Methods, RouterWidthAndCausality) {
  EXPECT_EQ(router_width({.experts = 8}), 8);
  EXPECT_EQ(router_width({.experts = 8, .null_experts = 5}), 13);
  EXPECT_EQ(router_width({.kind = Kind::hash, .experts = 8}), 0);
  EXPECT_TRUE(is_causal({}));
  EXPECT_FALSE(is_causal({.capacity_factor = 2.0F}));
  EXPECT_FALSE(is_causal({.kind = Kind::expert_choice}));
}

}  // namespace
}  // namespace switchyard::routing
