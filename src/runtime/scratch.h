// Memory for the activations of one run of tokens, taken once and used for every layer.
//
// N tokens of the run, A = N * K assignments, D width, F hidden width, R router outputs.
#pragma once

#include <cstdint>
#include <span>

#include "switchyard/ledger.h"
#include "switchyard/model_config.h"

#include "base/aligned_buffer.h"

namespace switchyard::runtime {

struct Scratch {
  // Books the bytes first; throws Error if the ledger refuses.
  // `quantised`: whether any weight is.
  Scratch(const ModelConfig& config, int tokens, int sessions, bool quantised,
          const std::shared_ptr<Ledger>& ledger);

  std::span<float> x;       // [N, D] residual stream
  std::span<float> normed;  // [N, D]
  std::span<float> q;       // [N, H * head_dim]
  std::span<float> k;       // [N, KV heads * head_dim]; k and v: grouped queries only
  std::span<float> v;       // [N, KV heads * head_dim]
  // Latent attention only (mla.cc)
  std::span<float> q_low;            // [N, q_rank]
  std::span<float> latent;           // [N, kv_rank + rope_dim]
  std::span<float> head_rows;        // [H, N, nope_dim], then [H, N, value_dim]
  std::span<float> head_latents;     // [H, N, kv_rank]
  std::span<float> attention;        // of each thread (AttentionMemory)
  std::span<float> attention_parts;  // of queries whose positions several threads share
  std::span<float> mixed;  // [N, H * head_dim or value_dim] attention output before its projection
  std::span<float> block;  // [N, D] output of attention or FFN, to be added to x
  std::span<float> gate;   // [N, dense or shared F]
  std::span<float> up;     // [N, dense or shared F]
  std::span<float> router_logits;  // [N, R]
  std::span<float> next_logits;    // [N, R] the next router's, for prefetch
  // Of routers that are more than one matrix (routing/recurrent.h)
  std::span<float> router_hidden;    // [N, p]
  std::span<float> cell_from_input;  // [N, G p]
  std::span<float> cell_from_state;  // [N, G p]
  std::span<float> shared_scale;     // [N]
  std::span<float> expert_in;        // [A, D]
  std::span<float> expert_gate;      // [A, F]
  std::span<float> expert_up;        // [A, F]
  std::span<float> expert_out;       // [A, D]

  std::span<float> rounded;  // bytes for rows rounded to 8 bits; empty without such weights

  int tokens = 0;

 private:
  Ledger::Booking booking_;
  Arena arena_;
};

}  // namespace switchyard::runtime
