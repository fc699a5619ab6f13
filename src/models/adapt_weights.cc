#include "models/adapt_weights.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <torch/torch.h>

#include "switchyard/error.h"

#include "formats/weight_check.h"
#include "models/checkpoint_io.h"

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

// A layer that becomes one of experts needs a router, which starts anew.
bool is_new_router(const AdaptationSource& source, const ModelConfig& /*target*/,
                   const WeightPlace& place) {
  return (place.part == "router" || place.part == "selection_bias") &&
         !source.config().layer_is_moe[static_cast<std::size_t>(place.layer)];
}

torch::Tensor as_made(AdaptationSource& /*source*/, const ModelConfig& /*target*/,
                      const WeightPlace& /*place*/, const torch::Tensor& /*initial*/,
                      const AdaptOptions& /*options*/) {
  return {};
}

constexpr WeightAdapter kAdapters[] = {
    {"router gets rows for null experts", is_router_without_nulls, add_null_rows},
    {"router of a layer that had none", is_new_router, as_made},
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
  require("kind of query-key norm", static_cast<int>(from.qk_norm), static_cast<int>(to.qk_norm));
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
  check_weights(config_, reader_);
}

const std::vector<std::int64_t>& AdaptationSource::shape(const std::string& name) const {
  return reader_.find(name).shape;
}

torch::Tensor AdaptationSource::read(const std::string& name) {
  used_.insert(name);
  const auto values = reader_.read_f32(name);
  return torch::tensor(values).reshape(shape(name));
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
