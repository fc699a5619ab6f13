// The weights of a model and the tensors of a GGUF file that hold them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "switchyard/model_config.h"

#include "formats/weight_check.h"

namespace switchyard {

// Which heads the rows of a weight belong to: only theirs are ever permuted.
enum class RotaryRows { none, queries, keys };

struct GgufPart {
  std::string weight{};               // Hugging Face's name
  std::vector<std::int64_t> shape{};  // outermost first
  std::string tensor{};               // ggml's name; of experts: of all of a layer together
  RotaryRows rotary = RotaryRows::none;
  // Kept in F32 as other programs require: norms, biases, routers.
  bool always_f32 = false;

  // Experts only.
  int layer = 0;
  int expert = -1;
  std::string_view projection = "";  // "gate", "up" or "down"
  std::string_view kind = "weight";  // or "bias"

  bool is_expert() const { return expert >= 0; }
  // What files that do not merge experts call it: "blk.0.ffn_up.3.weight".
  std::string own_tensor() const;
  // The tensor of some files that has the rows of gate and then those of up.
  std::string gate_up_tensor() const;
  // Dimensions, innermost first. A single row is a vector, as the gate of the shared expert.
  std::vector<std::uint64_t> dims() const;
};

// In the order of expected_tensors(), each layer's experts by number.
std::vector<GgufPart> gguf_parts(const ModelConfig& config);

// The tensor that stands in a layer if and only if it routes.
std::string gguf_router_tensor(int layer);
std::string gguf_query_bias_tensor(int layer);
std::string gguf_down_experts_tensor(int layer);

}  // namespace switchyard
