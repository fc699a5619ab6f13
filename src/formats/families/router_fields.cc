// How config.json describes a router, and what it cannot say.
#include <nlohmann/json.hpp>
#include <string>

#include "formats/families/families.h"
#include "formats/json.h"

namespace switchyard {
namespace {

routing::Config plain(const routing::Config& router) {
  routing::Config out;
  out.experts = router.experts;
  out.experts_per_token = router.experts_per_token;
  return out;
}

// Softmax over the chosen logits is softmax over all of them, divided by the chosen ones' sum.
bool normalised(const routing::Config& router) {
  return router.renormalize || router.softmax_after_selection;
}

routing::Config renormalized_top_k(const routing::Config& router) { return plain(router); }

void read_top_k(const JsonFields& fields, routing::Config& router) {
  router.renormalize = fields.boolean("norm_topk_prob", false);
}

void write_top_k(const routing::Config& router, nlohmann::json& json) {
  json["norm_topk_prob"] = router.renormalize;
}

routing::Config top_k(const routing::Config& router) {
  routing::Config out = plain(router);
  out.renormalize = normalised(router);
  return out;
}

// ---- DeepSeek -----------------------------------------------------------------------------------

constexpr const char* kUnsupported = "use a model without it";

void read_groups(const JsonFields& fields, routing::Config& router, int groups, int chosen) {
  router.groups = static_cast<int>(fields.integer("n_group", 1, router.experts, groups));
  router.groups_per_token =
      static_cast<int>(fields.integer("topk_group", 1, router.groups, chosen));
}

void expect_text(const JsonFields& fields, const char* field, const std::string& value) {
  if (fields.text(field, value) != value) fields.fail(field, value, kUnsupported);
}

void read_v2(const JsonFields& fields, routing::Config& router) {
  expect_text(fields, "scoring_func", "softmax");
  router.group_score = routing::GroupScore::max;
  const std::string method = fields.text("topk_method", "greedy");
  if (method == "group_limited_greedy") {
    read_groups(fields, router, 1, 1);
  } else if (method != "greedy") {
    fields.fail("topk_method", "greedy or group_limited_greedy", kUnsupported);
  }
  router.scaling_factor =
      static_cast<float>(fields.number("routed_scaling_factor", 1e-6, 1e6, 1.0));
  router.renormalize = fields.boolean("norm_topk_prob", false);
  // The vendor's program then leaves the factor out, others keep it.
  if (router.renormalize && router.scaling_factor != 1.0F) {
    fields.fail("norm_topk_prob", "false with a routed_scaling_factor other than 1", kUnsupported);
  }
}

void write_v2(const routing::Config& router, nlohmann::json& json) {
  const bool grouped = router.groups > 1;
  json["scoring_func"] = "softmax";
  json["topk_method"] = grouped ? "group_limited_greedy" : "greedy";
  json["n_group"] = router.groups;
  json["topk_group"] = router.groups_per_token;
  json["routed_scaling_factor"] = shortest(router.scaling_factor);
  json["norm_topk_prob"] = router.renormalize;
}

routing::Config grouped(const routing::Config& router, routing::GroupScore score) {
  routing::Config out = top_k(router);
  out.groups = router.groups;
  out.groups_per_token = router.groups_per_token;
  out.group_score = score;
  out.scaling_factor = router.scaling_factor;
  return out;
}

routing::Config v2(const routing::Config& router) {
  routing::Config out = grouped(router, routing::GroupScore::max);
  if (out.renormalize) out.scaling_factor = 1.0F;
  return out;
}

void read_v3(const JsonFields& fields, routing::Config& router) {
  expect_text(fields, "scoring_func", "sigmoid");
  expect_text(fields, "topk_method", "noaux_tc");
  router.score = routing::Score::sigmoid;
  router.selection_bias = true;
  router.group_score = routing::GroupScore::top2_sum;
  read_groups(fields, router, 8, 4);
  router.scaling_factor =
      static_cast<float>(fields.number("routed_scaling_factor", 1e-6, 1e6, 2.5));
  router.renormalize = fields.boolean("norm_topk_prob", true);
}

void write_v3(const routing::Config& router, nlohmann::json& json) {
  json["scoring_func"] = "sigmoid";
  json["topk_method"] = "noaux_tc";
  json["n_group"] = router.groups;
  json["topk_group"] = router.groups_per_token;
  json["routed_scaling_factor"] = shortest(router.scaling_factor);
  json["norm_topk_prob"] = router.renormalize;
}

routing::Config v3(const routing::Config& router) {
  routing::Config out = grouped(router, routing::GroupScore::top2_sum);
  out.score = routing::Score::sigmoid;
  out.selection_bias = true;
  return out;
}

}  // namespace

constinit const RouterFields kRenormalizedTopK = {
    .read = [](const JsonFields&, routing::Config&) {},
    .write = [](const routing::Config&, nlohmann::json&) {},
    .nearest = renormalized_top_k,
    .what = "plain softmax top-k with renormalised weights"};
constinit const RouterFields kTopK = {
    .read = read_top_k, .write = write_top_k, .nearest = top_k, .what = "plain softmax top-k"};
constinit const RouterFields kDeepseekV2Router = {
    .read = read_v2,
    .write = write_v2,
    .nearest = v2,
    .what = "softmax top-k, limited to groups by their best expert"};
constinit const RouterFields kDeepseekV3Router = {
    .read = read_v3,
    .write = write_v3,
    .nearest = v3,
    .what = "sigmoid top-k with a selection bias, limited to groups by their two best experts"};

}  // namespace switchyard
