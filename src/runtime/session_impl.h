// One sequence's keys and values, and its router state. Private to the runtime.
#pragma once

#include <memory>
#include <span>

#include "switchyard/runtime.h"

#include "base/aligned_buffer.h"
#include "runtime/model_impl.h"

namespace switchyard::runtime {

struct Session::Impl {
  Impl(std::shared_ptr<const Model> model, int max_tokens);

  // Keys of one head in one layer: [max_tokens, head_dim].
  std::span<float> keys(int layer, int kv_head) { return head(keys_, layer, kv_head); }
  std::span<float> values(int layer, int kv_head) { return head(values_, layer, kv_head); }

  // What latent attention keeps instead, of all heads: [max_tokens, kv_rank + rope_dim].
  std::span<float> latents(int layer) { return latents_[static_cast<std::size_t>(layer)]; }

  std::shared_ptr<const Model> model;
  int max_tokens = 0;
  int length = 0;

 private:
  std::span<float> head(std::vector<std::span<float>>& layers, int layer, int kv_head) {
    const std::size_t stride = static_cast<std::size_t>(max_tokens) * head_dim_;
    return layers[static_cast<std::size_t>(layer)].subspan(
        static_cast<std::size_t>(kv_head) * stride, stride);
  }

  std::size_t head_dim_ = 0;
  Ledger::Booking booking_;
  Arena arena_;
  std::vector<std::span<float>> keys_;  // [L] of [KV heads, max_tokens, head_dim]
  std::vector<std::span<float>> values_;
  std::vector<std::span<float>> latents_;  // [L]; empty with grouped queries, else the others are
};

}  // namespace switchyard::runtime
