// Models with random weights, small enough for tests: the same bytes on every platform.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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
ModelConfig tiny_olmoe();      // norm of q and k over all heads, gate weights not renormalised
ModelConfig tiny_qwen2_moe();  // bias, shared expert with gate, a dense layer
ModelConfig tiny_qwen3_moe();  // norm of q and k per head, head_dim of its own
ModelConfig tiny_qwen3();      // dense, norm per head
ModelConfig tiny_windowed();   // Mistral with a window of 5
ModelConfig tiny_llama3();     // Llama with the scaled RoPE of Llama 3.1
ModelConfig tiny_dynamic();    // Llama whose base grows behind 48 tokens
ModelConfig tiny_yarn();       // Qwen2 with YaRN, and a window of 6 in its second layer
// Latent attention with queries from one matrix and YaRN, a dense layer, two shared experts, all
// experts in one group.
ModelConfig tiny_deepseek_v2();
// Queries in two steps, softmax top-k in 2 of 4 groups, weights times 3, no shared experts.
ModelConfig tiny_deepseek_v2_groups();
// Sigmoid scores with a selection bias in 2 of 4 groups, one shared expert, plain RoPE, a layer
// behind the last.
ModelConfig tiny_deepseek_v3();
// Biases everywhere, sinks, a window of 4 in the first layer, clamped experts, YaRN.
ModelConfig tiny_gpt_oss();
ModelConfig tiny_switchyard();  // one dense and one MoE layer, sigmoid scores, selection bias,
                                // ungated GELU experts, shared expert
ModelConfig tiny_duo();  // two experts, 48 and 3 wide, chosen at random (Duo-LLM's first stage)
ModelConfig tiny_duo_router();  // the same with a router for them (third stage)

// Latent attention in the family that can say everything, pairs half a head apart, dense.
ModelConfig tiny_latent();

// Those that only the runtime computes, not training: scaled RoPE, windows, latent attention; and
// Qwen3.
std::vector<ModelConfig> tiny_attentions();

// Four layers, the second dense, the others with a recurrent router of state 12.
ModelConfig tiny_recurrent();

// Wider, so that rows are whole blocks of every quantised type: D = 256, four heads of 64 (latent
// attention keeps its own), hidden widths of 256 and 512.
ModelConfig wide(ModelConfig config);

// config.json and model.safetensors in `directory` (created if needed), dtype f32 or bf16: random
// weights of SyntheticScale::even.
void write_tiny_model(FileSystem& fs, const std::string& directory, const ModelConfig& config,
                      std::uint64_t seed = 1, DType dtype = DType::f32);

}  // namespace switchyard::testing_support
