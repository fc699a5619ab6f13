#include "formats/gguf/neutral_keys.h"

#include <array>
#include <limits>

namespace switchyard {
namespace {

constexpr const char* kUnsupported = "use a model without it";

struct NeutralNumber {
  std::string_view key;
  double value;
  double other;         // does nothing either
  bool router = false;  // unless the architecture's router has it
};
constexpr std::array kNumbers = {
    NeutralNumber{"attention.clamp_kqv", 0, 0},
    NeutralNumber{"attention.max_alibi_bias", 0, 0},
    NeutralNumber{"attention.scale", 0, 0},
    NeutralNumber{"attn_logit_softcapping", 0, 0},
    NeutralNumber{"final_logit_softcapping", 0, 0},
    NeutralNumber{"router_logit_softcapping", 0, 0},
    NeutralNumber{"logit_scale", 0, 1},
    NeutralNumber{"embedding_scale", 0, 1},
    NeutralNumber{"residual_scale", 0, 1},
    NeutralNumber{"pooling_type", 0, 0},
    NeutralNumber{"nextn_predict_layers", 0, 0},
    NeutralNumber{"expert_weights_scale", 0, 1, true},
    NeutralNumber{"expert_group_count", 0, 1, true},
    NeutralNumber{"expert_group_used_count", 0, 1, true},
};

struct NeutralTruth {
  std::string_view key;
  bool value;
};
constexpr std::array kTruths = {
    NeutralTruth{"attention.causal", true},
    NeutralTruth{"use_parallel_residual", false},
};

// Refused whatever the value.
constexpr std::array<std::string_view, 2> kRefused = {
    "rope.dimension_sections",
    "attention.sliding_window_pattern",
};

}  // namespace

void check_neutral_keys(const GgufMetadata& metadata, const GgufArchitecture& row) {
  constexpr double kAny = std::numeric_limits<double>::max();
  for (const NeutralNumber& neutral : kNumbers) {
    if (neutral.router && row.router_keys) continue;
    const std::string name = row.key(neutral.key);
    const double value = metadata.number(name, -kAny, kAny, neutral.value);
    if (value == neutral.value || value == neutral.other) continue;
    metadata.fail(
        name,
        neutral.other == neutral.value ? "0: it is not supported" : "0 or 1: it is not supported",
        kUnsupported);
  }
  for (const NeutralTruth& neutral : kTruths) {
    const std::string name = row.key(neutral.key);
    if (metadata.boolean(name, neutral.value) == neutral.value) continue;
    metadata.fail(name, neutral.value ? "true" : "false", kUnsupported);
  }
  for (const std::string_view rest : kRefused) {
    if (metadata.has(row.key(rest))) metadata.fail(row.key(rest), "no such key", kUnsupported);
  }
}

}  // namespace switchyard
