// Models with random weights, small enough for tests: the same bytes on every platform.
#pragma once

#include <cstdint>
#include <string>

#include "switchyard/file_system.h"
#include "switchyard/model_config.h"
#include "switchyard/safetensors.h"

namespace switchyard::testing_support {

// The block all tiny configs start from: V = 96, D = 32, L = 2, H = 4 of 8, 2 KV heads, context
// 128. E = 8, K = 2, F = 24 in every family with experts. Each passes validate().
ModelConfig tiny_llama();
ModelConfig tiny_mistral();
ModelConfig tiny_qwen2();  // bias on q, k, v; tied embeddings
ModelConfig tiny_mixtral();
ModelConfig tiny_olmoe();       // norm of q and k over all heads, gate weights not renormalised
ModelConfig tiny_qwen2_moe();   // bias, shared expert with gate, a dense layer
ModelConfig tiny_qwen3_moe();   // norm of q and k per head, head_dim of its own
ModelConfig tiny_switchyard();  // one dense and one MoE layer, sigmoid scores, selection bias,
                                // ungated GELU experts, shared expert
ModelConfig tiny_duo();  // two experts, 48 and 3 wide, chosen at random (Duo-LLM's first stage)
ModelConfig tiny_duo_router();  // the same with a router for them (third stage)

// Four layers, the second dense, the others with a recurrent router of state 12.
ModelConfig tiny_recurrent();

// config.json and model.safetensors in `directory` (created if needed), dtype f32 or bf16. Matrices
// are normal with variance 1 / fan-in, norms near 1, biases small, so that logits stay of the order
// of 1.
void write_tiny_model(FileSystem& fs, const std::string& directory, const ModelConfig& config,
                      std::uint64_t seed = 1, DType dtype = DType::f32);

}  // namespace switchyard::testing_support
