#include "models/adapt_weights.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <torch/types.h>
#include <torch/utils.h>

#include "switchyard/error.h"

#include "formats/weight_check.h"
#include "models/checkpoint_io.h"
#include "models/split_ffn.h"
#include "models/trainable.h"

namespace switchyard::models {
namespace {

std::string text(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// ---- Table of adapters --------------------------------------------------------------------------

// A router of the same experts gets m more rows (AdaMoE, Zeng 2024).
bool is_router_without_nulls(const AdaptationSource& source, const ModelConfig& target,
                             const WeightPlace& place) {
  if (place.part != "router" || !source.has(place.name)) return false;
  const auto& from = source.config().moe->router;
  const auto& to = target.moe->router;
  return from.null_experts == 0 && to.null_experts > 0 && from.experts == to.experts &&
         source.shape(place.name) == std::vector<std::int64_t>{to.experts, target.width};
}

torch::Tensor add_null_rows(AdaptationSource& source, const ModelConfig& target,
                            const WeightPlace& place, const torch::Tensor& initial,
                            const AdaptOptions& options) {
  const auto& router = target.moe->router;
  const auto rows = source.read(place.name);
  if (!options.copy_null_rows) {
    return torch::cat({rows, initial.narrow(0, router.experts, router.null_experts)});
  }
  if (router.null_experts % router.experts != 0) {
    throw Error({.what = fmt::format("{} null experts cannot be copies of {} experts",
                                     router.null_experts, router.experts),
                 .where = place.name,
                 .expected = "a multiple of the number of experts",
                 .fix = "change router.null_experts, or set train.null_init = \"normal\""});
  }
  return rows.repeat({router.null_experts / router.experts + 1, 1});
}

// A layer that becomes one of experts needs a router, which starts anew; so does one that routed
// without weights (Duo-LLM's first stage).
bool is_new_router(const AdaptationSource& source, const ModelConfig& /*target*/,
                   const WeightPlace& place) {
  if (place.part != "router" && place.part != "selection_bias") return false;
  const auto& from = source.config();
  return !from.layer_is_moe[static_cast<std::size_t>(place.layer)] ||
         routing::router_width(from.moe->router) == 0;
}

// A dense network becomes the first of experts of several widths (Duo-LLM: big, with a small one
// beside it), in a layer that had no experts.
bool has_experts_beside_ffn(const AdaptationSource& source, const ModelConfig& target,
                            const WeightPlace& place) {
  return place.expert >= 0 && !target.moe->expert_hidden.empty() &&
         !source.config().layer_is_moe[static_cast<std::size_t>(place.layer)] &&
         target.moe->ffn(0).hidden == source.config().dense.hidden &&
         target.moe->ffn(0).gated == source.config().dense.gated;
}

bool is_ffn_as_expert(const AdaptationSource& source, const ModelConfig& target,
                      const WeightPlace& place) {
  return place.expert == 0 && has_experts_beside_ffn(source, target, place);
}

torch::Tensor read_ffn(AdaptationSource& source, const ModelConfig& /*target*/,
                       const WeightPlace& place, const torch::Tensor& /*initial*/,
                       const AdaptOptions& /*options*/) {
  return source.read(source.names().dense(place.layer, place.part));
}

bool is_expert_beside_ffn(const AdaptationSource& source, const ModelConfig& target,
                          const WeightPlace& place) {
  return place.expert > 0 && has_experts_beside_ffn(source, target, place);
}

torch::Tensor as_made(AdaptationSource& /*source*/, const ModelConfig& /*target*/,
                      const WeightPlace& /*place*/, const torch::Tensor& /*initial*/,
                      const AdaptOptions& /*options*/) {
  return {};
}

// Whether the gate weights of all E experts together are 1 whatever the logits, so that their mean
// stands for their sum.
bool weights_sum_to_one(const routing::Config& router) {
  const bool weighs = router.gate == routing::Gate::probability;
  const bool normalised = router.renormalize || router.softmax_after_selection ||
                          router.score == routing::Score::softmax;
  return router.scaling_factor == 1.0F &&
         (router.gate == routing::Gate::uniform || (weighs && normalised));
}

bool is_ffn_part(const WeightPlace& place) {
  return place.part == "gate" || place.part == "up" || place.part == "down";
}

void require_same_width(std::int64_t dense, std::int64_t experts, std::int64_t width,
                        const WeightPlace& place) {
  if (dense == experts * width) return;
  throw Error({.what = fmt::format("a dense network of width {} is not {} experts of width {}",
                                   dense, experts, width),
               .where = place.name,
               .expected = "experts that are together as wide as the dense network",
               .fix = "change model.hidden or router.experts"});
}

// A dense network becomes experts (SMoE-Dropout, Chen 2023).
bool is_expert_of_dense(const AdaptationSource& source, const ModelConfig& target,
                        const WeightPlace& place) {
  return place.expert >= 0 && target.moe->expert_hidden.empty() &&
         !source.config().layer_is_moe[static_cast<std::size_t>(place.layer)] &&
         source.has(source.names().dense(place.layer, place.part)) &&
         weights_sum_to_one(target.moe->router);
}

torch::Tensor take_from_dense(AdaptationSource& source, const ModelConfig& target,
                              const WeightPlace& place, const torch::Tensor& /*initial*/,
                              const AdaptOptions& /*options*/) {
  const auto dense = source.read(source.names().dense(place.layer, place.part));
  const auto dimension = hidden_dimension(place.part);
  const std::int64_t experts = target.moe->router.experts;
  require_same_width(dense.size(dimension), experts,
                     place.shape[static_cast<std::size_t>(dimension)], place);
  return split_part(place.part, dense, place.expert, experts);
}

// Experts that all work on every item become a dense network; their router is not needed.
bool is_dense_of_experts(const AdaptationSource& source, const ModelConfig& /*target*/,
                         const WeightPlace& place) {
  if (place.expert >= 0 || !is_ffn_part(place)) return false;
  const ModelConfig& from = source.config();
  if (!from.layer_is_moe[static_cast<std::size_t>(place.layer)]) return false;
  const routing::Config& router = from.moe->router;
  return router.experts_per_token == router.experts && router.null_experts == 0 &&
         source.has(source.names().expert(place.layer, 0, place.part)) &&
         weights_sum_to_one(router);
}

torch::Tensor join_experts(AdaptationSource& source, const ModelConfig& /*target*/,
                           const WeightPlace& place, const torch::Tensor& /*initial*/,
                           const AdaptOptions& /*options*/) {
  std::vector<torch::Tensor> parts;
  for (int e = 0; e < source.config().moe->router.experts; ++e) {
    parts.push_back(source.read(source.names().expert(place.layer, e, place.part)));
  }
  const auto dimension = hidden_dimension(place.part);
  require_same_width(place.shape[static_cast<std::size_t>(dimension)],
                     static_cast<std::int64_t>(parts.size()), parts.front().size(dimension), place);
  source.leave_out(source.names().router(place.layer));
  source.leave_out(source.names().router_projection(place.layer));
  return join_parts(place.part, parts);
}

constexpr WeightAdapter kAdapters[] = {
    {"router gets rows for null experts", is_router_without_nulls, add_null_rows},
    {"router of a layer that had none", is_new_router, as_made},
    {"dense network as the first expert", is_ffn_as_expert, read_ffn},
    {"new expert beside a dense network", is_expert_beside_ffn, as_made},
    {"expert cut from a dense network", is_expert_of_dense, take_from_dense},
    {"dense network joined from experts", is_dense_of_experts, join_experts},
};

// ---- Places -------------------------------------------------------------------------------------

std::map<std::string, WeightPlace> places_of(const ModelConfig& target, const WeightNames& names) {
  std::map<std::string, WeightPlace> places;
  const auto add = [&](std::string name, int layer, int expert, std::string part) {
    auto& place = places[name];
    place.name = std::move(name);
    place.layer = layer;
    place.expert = expert;
    place.part = std::move(part);
  };
  for (int l = 0; l < target.layers; ++l) {
    const bool moe = target.layer_is_moe[static_cast<std::size_t>(l)];
    for (const char* part : {"gate", "up", "down"}) {
      if (!moe) add(names.dense(l, part), l, -1, part);
      for (int e = 0; moe && e < target.moe->router.experts; ++e) {
        add(names.expert(l, e, part), l, e, part);
      }
    }
    if (!moe) continue;
    add(names.router(l), l, -1, "router");
    add(names.selection_bias(l), l, -1, "selection_bias");
  }
  return places;
}

// ---- What the same weights would compute --------------------------------------------------------

void require_same_function(const ModelConfig& from, const ModelConfig& to,
                           const std::string& directory) {
  const auto require = [&](const char* field, auto source, auto target) {
    if (source == target) return;
    throw Error({.what = fmt::format("{} is {} in the model to start from and {} here", field,
                                     source, target),
                 .where = directory + "/config.json",
                 .expected = "the same",
                 .fix = "change the recipe to the model's value"});
  };
  const auto name_of = [](QkNorm norm) -> std::string_view {
    return norm == QkNorm::none ? "none" : norm == QkNorm::full ? "full" : "per_head";
  };
  const auto activation = [](const ModelConfig& c) {
    return static_cast<int>(c.moe ? c.moe->expert.activation : c.dense.activation);
  };
  require("vocab", from.vocab, to.vocab);
  require("width", from.width, to.width);
  require("layers", from.layers, to.layers);
  require("heads", from.heads, to.heads);
  require("kv_heads", from.kv_heads, to.kv_heads);
  require("head_dim", from.head_dim, to.head_dim);
  require("norm_epsilon", from.norm_epsilon, to.norm_epsilon);
  require("rope_theta", from.rope_theta, to.rope_theta);
  require("qk_norm", name_of(from.qk_norm), name_of(to.qk_norm));
  require("activation", activation(from), activation(to));
}

torch::Tensor adapted(AdaptationSource& source, const ModelConfig& target, const WeightPlace& place,
                      const torch::Tensor& initial, const AdaptOptions& options,
                      const std::string& directory, std::map<std::string_view, int>& used) {
  for (const WeightAdapter& adapter : weight_adapters()) {
    if (!adapter.explains(source, target, place)) continue;
    ++used[adapter.what];
    return adapter.make(source, target, place, initial, options);
  }
  throw Error({.what = source.has(place.name)
                           ? "the shape is " + text(source.shape(place.name))
                           : std::string("the model to start from has no such weight"),
               .where = directory + ": tensor " + place.name,
               .expected = text(place.shape) + " or a difference that an adapter explains",
               .fix = "change the recipe to the shape of the model, or start from random weights"});
}

}  // namespace

std::span<const WeightAdapter> weight_adapters() { return kAdapters; }

// ---- Source -------------------------------------------------------------------------------------

AdaptationSource::AdaptationSource(FileSystem& fs, const std::string& directory)
    : config_(read_model_config(fs, directory)), names_(config_.family), reader_(fs, directory) {
  require_trainable(config_, directory + "/config.json");
  check_weights(config_, reader_);
}

const std::vector<std::int64_t>& AdaptationSource::shape(const std::string& name) const {
  return reader_.find(name).shape;
}

torch::Tensor AdaptationSource::read(const std::string& name) {
  used_.insert(name);
  for (const auto& [known, tensor] : recent_) {
    if (known == name) return tensor;
  }
  constexpr std::size_t kKept = 3;
  if (recent_.size() == kKept) recent_.erase(recent_.begin());
  recent_.emplace_back(name, torch::tensor(reader_.read_f32(name)).reshape(shape(name)));
  return recent_.back().second;
}

std::vector<std::string> AdaptationSource::unused() const {
  std::vector<std::string> names;
  for (const ExpectedTensor& tensor : expected_tensors(config_)) {
    if (!used_.contains(tensor.name)) names.push_back(tensor.name);
  }
  return names;
}

// ---- Adapting -----------------------------------------------------------------------------------

std::vector<std::string> adapt_weights(FileSystem& fs, const std::string& directory,
                                       Decoder& target, const AdaptOptions& options) {
  AdaptationSource source(fs, directory);
  require_same_function(source.config(), target.config(), directory);
  const auto places = places_of(target.config(), source.names());
  std::map<std::string_view, int> used;
  const torch::NoGradGuard no_grad;
  for (NamedWeight& weight : list_weights(target, source.names())) {
    const auto found = places.find(weight.name);
    WeightPlace place = found == places.end() ? WeightPlace{} : found->second;
    place.name = weight.name;
    place.shape = weight.tensor.sizes().vec();
    const bool same = source.has(place.name) && source.shape(place.name) == place.shape;
    const auto value = same ? source.read(place.name)
                            : adapted(source, target.config(), place, weight.tensor.to(torch::kCPU),
                                      options, directory, used);
    if (value.defined()) weight.tensor.copy_(value);
  }
  if (const auto unused = source.unused(); !unused.empty()) {
    throw Error({.what = fmt::format("nothing here takes this weight of the model to start from"
                                     " ({} in all)",
                                     unused.size()),
                 .where = directory + ": tensor " + unused.front(),
                 .expected = "a recipe that uses every weight",
                 .fix = "change the recipe to the shape of the model"});
  }
  std::vector<std::string> lines;
  for (const auto& [what, count] : used)
    lines.push_back(fmt::format("{}: {} weights", what, count));
  return lines;
}

}  // namespace switchyard::models
