// Tiny models as GGUF files in memory, for tests.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "switchyard/gguf.h"
#include "switchyard/safetensors.h"

#include "formats/gguf/gguf_model.h"
#include "support/memory_file_system.h"
#include "support/tiny_model.h"

namespace switchyard::testing_gguf {

constexpr const char* kFile = "m.gguf";

struct NamedModel {
  std::string name;
  ModelConfig config;
};

// As DeepSeek-V2-Lite is: both magnitudes the same.
inline ModelConfig tiny_deepseek_v2_lite() {
  ModelConfig config = testing_support::tiny_deepseek_v2();
  config.rope_scaling.mscale = config.rope_scaling.mscale_all_dim = 0.707F;
  return config;
}

// One of each family, and variants whose config needs keys of its own.
inline std::vector<NamedModel> tiny_models() {
  using namespace testing_support;
  std::vector<NamedModel> models = {{"llama", tiny_llama()},
                                    {"mistral", tiny_mistral()},
                                    {"qwen2", tiny_qwen2()},
                                    {"mixtral", tiny_mixtral()},
                                    {"olmoe", tiny_olmoe()},
                                    {"qwen2_moe", tiny_qwen2_moe()},
                                    {"qwen3_moe", tiny_qwen3_moe()},
                                    {"switchyard", tiny_switchyard()},
                                    {"duo", tiny_duo()},
                                    {"duo_router", tiny_duo_router()},
                                    {"recurrent", tiny_recurrent()},
                                    {"qwen3", tiny_qwen3()},
                                    {"windowed", tiny_windowed()},
                                    {"llama3", tiny_llama3()},
                                    {"yarn_and_window", tiny_yarn()},
                                    {"deepseek_v2_two_magnitudes", tiny_deepseek_v2()},
                                    {"deepseek_v2_groups", tiny_deepseek_v2_groups()},
                                    {"deepseek_v3", tiny_deepseek_v3()},
                                    {"gpt_oss", tiny_gpt_oss()},
                                    {"latent", tiny_latent()}};
  ModelConfig tied = tiny_llama();
  tied.tied_embeddings = true;
  tied.head_dim = 16;
  tied.bos = 1;
  tied.eos = {2, 5, 7};
  tied.context = 300;
  tied.norm_epsilon = 1e-6F;
  tied.rope_theta = 5e5F;
  models.push_back({"llama_tied_many_eos", tied});
  ModelConfig trained = tiny_olmoe();
  trained.eos = {};
  trained.moe->fewest_experts_in_training = 1;
  trained.moe->router.losses.balance_coefficient = 0.01F;
  trained.moe->router.frozen = true;
  models.push_back({"olmoe_trained_here", trained});
  ModelConfig other_rule = tiny_qwen3_moe();
  other_rule.moe->router.renormalize = false;
  models.push_back({"qwen3_moe_not_renormalised", other_rule});
  ModelConfig gelu = tiny_mixtral();
  gelu.moe->expert.activation = Activation::gelu;
  models.push_back({"mixtral_gelu", gelu});
  ModelConfig bare = tiny_qwen2_moe();
  bare.attention_bias = false;
  bare.layer_is_moe = {true, true};
  models.push_back({"qwen2_moe_without_bias", bare});
  ModelConfig after = tiny_mixtral();
  after.moe->router.softmax_after_selection = true;
  models.push_back({"mixtral_softmax_after_selection", after});
  ModelConfig yarn = tiny_qwen3();
  yarn.rope_scaling = {.kind = RopeKind::yarn, .factor = 4.0F, .original_context = 32};
  models.push_back({"qwen3_yarn", yarn});
  ModelConfig linear = tiny_llama();
  linear.rope_scaling = {.kind = RopeKind::linear, .factor = 2.5F};
  models.push_back({"llama_linear", linear});
  models.push_back({"deepseek_v2", tiny_deepseek_v2_lite()});
  ModelConfig ungrouped = tiny_deepseek_v3();
  ungrouped.moe->router.groups = 1;
  ungrouped.moe->router.groups_per_token = 1;
  ungrouped.extra_layers = 0;
  models.push_back({"deepseek_v3_without_groups", ungrouped});
  return models;
}

// A Hugging Face directory "hf" with this model, and kFile made of it.
class GgufModel {
 public:
  explicit GgufModel(const ModelConfig& config, const GgufWriteOptions& options = {},
                     DType dtype = DType::f32) {
    testing_support::write_tiny_model(fs, "hf", config, 3, dtype);
    write_gguf(fs, kFile, read_model_config(fs, "hf"), SafetensorsReader(fs, "hf"), options);
  }

  testing_support::MemoryFileSystem fs;
};

// All of a file, to be written again with changes.
struct FileParts {
  explicit FileParts(const GgufReader& reader) {
    for (const auto& [key, value] : reader.metadata().values()) {
      if (key != "general.alignment") metadata.set(key, value);
    }
    for (const auto& [name, tensor] : reader.tensors()) {
      std::vector<std::byte> bytes(tensor.bytes);
      reader.read(tensor, bytes);
      tensors[name] = {tensor, std::move(bytes)};
    }
  }

  void write(FileSystem& fs, const std::string& path) const {
    GgufWriter writer;
    for (const auto& [key, value] : metadata.values()) writer.set(key, value);
    for (const auto& [name, entry] : tensors) {
      writer.add({.name = name,
                  .type = entry.first.type,
                  .dims = entry.first.dims,
                  .write = [&bytes = entry.second](AtomicFile& file) { file.append(bytes); }});
    }
    writer.commit(fs, path);
  }

  GgufMetadata metadata;
  std::map<std::string, std::pair<GgufTensor, std::vector<std::byte>>> tensors;
};

}  // namespace switchyard::testing_gguf
