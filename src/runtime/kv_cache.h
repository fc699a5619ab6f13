// What one session keeps of its tokens: keys and values of every layer and head, or with latent
// attention one row of each layer. Private to the runtime.
//
// Elements are stored as ModelOptions::cache_type_k and cache_type_v say; kernels/attention.h has
// the layout. Every layer holds all positions, also one that looks back through a window only, so
// that a session can be cut anywhere (Session::truncate).
#pragma once

#include <cstdint>
#include <vector>

#include "switchyard/model_config.h"
#include "switchyard/runtime.h"

#include "base/aligned_buffer.h"
#include "kernels/kernels.h"

namespace switchyard::runtime {

struct KvTypes {
  DType keys = DType::f32;  // of latent attention: of its rows
  DType values = DType::f32;
};

// The types that the options ask for. Throws Error naming the flag where the model cannot have
// them.
KvTypes kv_types(const ModelConfig& config, const ModelOptions& options);

// Bytes of one session's cache.
std::uint64_t kv_bytes(const ModelConfig& config, int tokens, const KvTypes& types = {});

class KvCache {
 public:
  KvCache(const ModelConfig& config, int tokens, const KvTypes& types);

  // One head of a layer; with latent attention head 0 stands for all.
  kernels::AttentionCache head(int layer, int kv_head) const;
  // A token's key and value of one head. Different positions or heads at the same time are fine.
  void put(const kernels::KernelSet& kernels, int layer, int kv_head, int position,
           const float* key, const float* value);
  // Its row of latent attention.
  void put_latent(const kernels::KernelSet& kernels, int layer, int position, const float* row);

 private:
  KvTypes types_;
  std::size_t key_width_ = 0;
  std::size_t value_width_ = 0;
  std::size_t key_head_bytes_ = 0;
  std::size_t value_head_bytes_ = 0;
  bool latent_ = false;
  Arena arena_;
  std::vector<std::byte*> keys_;    // [L]; none with latent attention
  std::vector<std::byte*> values_;  // [L]
};

}  // namespace switchyard::runtime
