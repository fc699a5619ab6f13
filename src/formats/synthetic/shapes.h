// Shapes for models of random numbers: those of well-known published models, a small one of every
// family, and changes to them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "switchyard/model_config.h"

namespace switchyard {

struct SyntheticShape {
  std::string_view name;
  Family family;
  std::string_view
      fields;  // config.json without model_type; what is absent is the family's default
};

// The visible table. "tiny" is there once for every family.
std::span<const SyntheticShape> synthetic_shapes();

inline constexpr std::string_view kTinyShape = "tiny";

// Throws Error for an unknown name, and for a family that is not the shape's. Without a family,
// "tiny" is an OLMoE.
const SyntheticShape& find_synthetic_shape(std::string_view name, std::optional<Family> family);

// What differs from a shape. The width of a head follows width and heads where the shape leaves it
// to them; everything else stays.
struct ShapeChanges {
  std::optional<int> layers = {};
  std::optional<int> width = {};
  std::optional<int> heads = {};
  std::optional<int> kv_heads = {};
  std::optional<int> head_dim = {};
  std::optional<int> hidden = {};  // F: of an expert, of the dense layers in a model without
  std::optional<int> experts = {};
  std::optional<int> experts_per_token = {};
  std::optional<int> shared_experts = {};  // the shared expert is as wide as so many routed ones
  std::optional<int> vocab = {};
  std::optional<int> context = {};
};

// The config, without the ids of special tokens. Throws Error for changes that the family cannot
// have (experts in a dense family), and for sizes that do not fit together.
ModelConfig synthetic_config(const SyntheticShape& shape, const ShapeChanges& changes);

}  // namespace switchyard
