#include "formats/family.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "formats/families/families.h"

namespace switchyard {
namespace {

constexpr std::array kFamilies = {&kLlama,      &kMistral,    &kQwen2,    &kQwen3,
                                  &kMixtral,    &kOlmoe,      &kQwen2Moe, &kQwen3Moe,
                                  &kDeepseekV2, &kDeepseekV3, &kGptOss,   &kSwitchyard};

struct ActivationName {
  std::string_view name;
  Activation activation;
};

// The first name of an activation is the one that is written.
constexpr std::array kActivations = {
    ActivationName{"silu", Activation::silu},
    ActivationName{"swish", Activation::silu},
    ActivationName{"gelu", Activation::gelu},
    ActivationName{"gelu_pytorch_tanh", Activation::gelu_tanh},
    ActivationName{"gelu_new", Activation::gelu_tanh},
    ActivationName{"relu", Activation::relu},
};

}  // namespace

std::span<const FamilyTraits* const> families() { return kFamilies; }

const FamilyTraits& traits(Family family) {
  for (const FamilyTraits* t : kFamilies) {
    if (t->family == family) return *t;
  }
  check_failed("the family is in the table", __FILE__, __LINE__);
}

std::string_view family_name(Family family) { return traits(family).model_type; }

std::optional<Family> family_from_name(std::string_view name) {
  for (const FamilyTraits* t : kFamilies) {
    if (t->model_type == name) return t->family;
  }
  return std::nullopt;
}

std::vector<bool> leading_moe_layers(int layers, std::int64_t first, std::int64_t step) {
  std::vector<bool> routed(static_cast<std::size_t>(layers));
  for (int l = 0; l < layers; ++l) {
    routed[static_cast<std::size_t>(l)] = l >= first && l % step == 0;
  }
  return routed;
}

std::optional<LeadingMoe> as_leading_moe(const std::vector<bool>& layer_is_moe) {
  const int layers = static_cast<int>(layer_is_moe.size());
  const auto begin = layer_is_moe.begin();
  const auto next = [&](std::ptrdiff_t from) {
    return static_cast<int>(std::find(begin + from, layer_is_moe.end(), true) - begin);
  };
  const int first = next(0);
  // The distance of the first two; a single one stands at a multiple of its own number.
  const int second = first < layers ? next(first + 1) : layers;
  const LeadingMoe out{.first = first,
                       .step = second < layers ? second - first : std::max(1, first)};
  for (const int step : {out.step, layers}) {
    if (leading_moe_layers(layers, first, step) == layer_is_moe) return LeadingMoe{first, step};
  }
  return std::nullopt;
}

std::string_view activation_name(Activation activation) {
  for (const ActivationName& a : kActivations) {
    if (a.activation == activation) return a.name;
  }
  check_failed("the activation is in the table", __FILE__, __LINE__);
}

std::optional<Activation> activation_from_name(std::string_view name) {
  for (const ActivationName& a : kActivations) {
    if (a.name == name) return a.activation;
  }
  return std::nullopt;
}

}  // namespace switchyard
