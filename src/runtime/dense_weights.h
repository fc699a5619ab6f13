// The weights every token uses, held in memory as stored (fp32 or bf16): embeddings, attention,
// norms, routers, dense and shared feed-forward networks. Routed experts live in the expert cache
// instead.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "switchyard/ledger.h"
#include "switchyard/model_config.h"
#include "switchyard/weight_files.h"

#include "base/aligned_buffer.h"
#include "kernels/kernels.h"

namespace switchyard::runtime {

struct FfnWeights {
  kernels::Matrix gate;  // [F, D]; data is null when the network is not gated
  kernels::Matrix up;    // [F, D]
  kernels::Matrix down;  // [D, F]
};

// Small vectors of an expert, which stay in memory while its matrices come and go.
struct ExpertBias {
  std::span<const float> gate, up, down;  // [F], [F], [D]; gate is empty when not gated
};

struct LayerWeights {
  std::span<const float> input_norm;  // [D]
  std::span<const float> post_norm;   // [D]
  kernels::Matrix q, k, v, o;
  std::span<const float> q_bias, k_bias, v_bias;  // empty without attention bias
  std::span<const float> o_bias, sinks;           // [D], [H]; empty without
  std::span<const float> q_norm, k_norm;          // empty without query-key norm
  // Latent attention, where q is [H * head_dim, q_rank or D] and k and v have null data. Without it
  // these have.
  kernels::Matrix q_a;   // [q_rank, D]; null data where the queries come from one matrix
  kernels::Matrix kv_a;  // [kv_rank + rope_dim, D]
  std::span<const float> q_a_norm, kv_a_norm;
  // kv_b in two, head after head: keys transposed, K_h^T [kv_rank, nope_dim], and values, V_h
  // [value_dim, kv_rank] (mla.cc)
  kernels::Matrix key_up;    // [H * kv_rank, nope_dim]
  kernels::Matrix value_up;  // [H * value_dim, kv_rank]
  std::optional<FfnWeights> dense;
  std::optional<FfnWeights> shared;
  kernels::Matrix shared_gate;  // [1, D]; null data without
  // [R, D], behind a projection [R, p]; null data in dense layers and for routers without weights
  kernels::Matrix router;
  kernels::Matrix router_projection;      // [p, D]; null data where the router is one matrix
  std::span<const float> selection_bias;  // [E]
  std::span<const float> router_bias;     // [R]; empty without
  std::vector<ExpertBias> expert_bias;    // [E]; empty without
};

// The cell of a recurrent router, shared by all layers (routing/recurrent.h). Null data without.
struct CellWeights {
  kernels::Matrix weight_ih;       // [G p, p]
  kernels::Matrix weight_hh;       // [G p, p]
  std::span<const float> bias_ih;  // [G p]
  std::span<const float> bias_hh;  // [G p]
};

// Immutable after load().
class DenseWeights {
 public:
  // Bytes load() will take.
  static std::uint64_t bytes_needed(const WeightFiles& tensors, const ModelConfig& config);
  // Reads past the page cache, so that a memory limit sees each byte once.
  static DenseWeights load(FileSystem& fs, const WeightFiles& tensors, const ModelConfig& config,
                           const std::shared_ptr<Ledger>& ledger);

  kernels::Matrix embedding;          // [V, D]
  kernels::Matrix output;             // [V, D]; the embedding when tied
  std::span<const float> final_norm;  // [D]
  std::vector<LayerWeights> layers;   // [L]
  CellWeights router_cell;
  std::uint64_t bytes() const { return arena_.size(); }

 private:
  Ledger::Booking booking_;
  Arena arena_;
};

}  // namespace switchyard::runtime
