#include "models/checkpoint_io.h"

#include <array>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "switchyard/error.h"

#include "base/check.h"
#include "formats/weight_check.h"

namespace switchyard::models {
namespace {

constexpr const char* kWeightFile = "model.safetensors";

std::string in_directory(const std::string& directory, const char* file) {
  return directory + (directory.ends_with('/') ? "" : "/") + file;
}

void list_attention(const DecoderLayerImpl& layer, int l, const WeightNames& names,
                    std::vector<NamedWeight>& list) {
  const auto add = [&](const char* part, const torch::Tensor& tensor) {
    if (tensor.defined()) list.push_back({names.layer(l, part), tensor.detach()});
  };
  const auto& attention = *layer.attention;
  add("input_norm", layer.input_norm->weight);
  add("q", attention.q);
  add("k", attention.k);
  add("v", attention.v);
  add("o", attention.o);
  add("q_bias", attention.q_bias);
  add("k_bias", attention.k_bias);
  add("v_bias", attention.v_bias);
  if (attention.q_norm) add("q_norm", attention.q_norm->weight);
  if (attention.k_norm) add("k_norm", attention.k_norm->weight);
  add("post_norm", layer.post_norm->weight);
}

void list_moe(const MoeLayerImpl& moe, int l, const WeightNames& names,
              std::vector<NamedWeight>& list) {
  const auto add = [&](std::string name, const torch::Tensor& tensor) {
    if (tensor.defined()) list.push_back({std::move(name), tensor.detach()});
  };
  add(names.router_projection(l), moe.router->projection);
  add(names.router(l), moe.router->weight);
  add(names.selection_bias(l), moe.router->selection_bias);
  const auto map = moe.expert_map.to(torch::kCPU);
  const auto& bank = *moe.experts;
  for (int e = 0; e < map.size(0); ++e) {
    const auto slot = map[e].item<std::int64_t>();
    if (bank.ffn.gated) add(names.expert(l, e, "gate"), bank.gate(slot));
    add(names.expert(l, e, "up"), bank.up(slot));
    add(names.expert(l, e, "down"), bank.down(slot));
  }
  if (!moe.shared) return;
  add(names.shared_expert(l, "gate"), moe.shared->gate);
  add(names.shared_expert(l, "up"), moe.shared->up);
  add(names.shared_expert(l, "down"), moe.shared->down);
  add(names.shared_gate(l), moe.shared_gate);
}

}  // namespace

std::vector<NamedWeight> list_weights(const Decoder& model, const WeightNames& names) {
  std::vector<NamedWeight> list;
  list.push_back({names.embedding(), model.embedding.detach()});
  for (int l = 0; l < static_cast<int>(model.layers.size()); ++l) {
    const auto& layer = *model.layers[l];
    list_attention(layer, l, names, list);
    if (layer.moe) {
      list_moe(*layer.moe, l, names, list);
    } else {
      if (layer.dense->gate.defined()) {
        list.push_back({names.dense(l, "gate"), layer.dense->gate.detach()});
      }
      list.push_back({names.dense(l, "up"), layer.dense->up.detach()});
      list.push_back({names.dense(l, "down"), layer.dense->down.detach()});
    }
  }
  if (model.router_cell) {
    const auto& cell = *model.router_cell;
    list.push_back({names.router_cell("weight_ih"), cell.weight_ih.detach()});
    list.push_back({names.router_cell("weight_hh"), cell.weight_hh.detach()});
    list.push_back({names.router_cell("bias_ih"), cell.bias_ih.detach()});
    list.push_back({names.router_cell("bias_hh"), cell.bias_hh.detach()});
  }
  list.push_back({names.final_norm(), model.final_norm->weight.detach()});
  if (model.output.defined()) list.push_back({names.output(), model.output.detach()});
  return list;
}

namespace {

torch::ScalarType torch_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return torch::kFloat32;
    case DType::bf16:
      return torch::kBFloat16;
    default:
      break;
  }
  throw Error({.what = fmt::format("weights cannot be saved as {}", dtype_name(dtype)),
               .where = "checkpoint",
               .expected = "F32 or BF16"});
}

void write_files(FileSystem& fs, const Decoder& model, const ModelConfig& config,
                 const std::string& directory, const SaveOptions& options) {
  const auto type = torch_type(options.dtype);
  fs.create_directories(directory);
  SafetensorsWriter writer;
  writer.set_metadata("format", "pt");  // readers of the family expect it
  for (const auto& [key, value] : options.metadata) writer.set_metadata(key, value);
  for (auto& weight : list_weights(model, WeightNames(config.family))) {
    const auto write = [tensor = weight.tensor, type](AtomicFile& file) {
      const auto stored = tensor.to(torch::kCPU, type).contiguous();
      file.append(std::span(static_cast<const std::byte*>(stored.data_ptr()), stored.nbytes()));
    };
    writer.add({weight.name, options.dtype, weight.tensor.sizes().vec(), write});
  }
  writer.commit(fs, in_directory(directory, kWeightFile));
  auto json = to_json(config);
  json["torch_dtype"] = options.dtype == DType::bf16 ? "bfloat16" : "float32";
  // Last: a directory with a config.json has its weights.
  write_file_atomically(fs, in_directory(directory, "config.json"), json.dump(2) + "\n");
}

}  // namespace

void load_weights(FileSystem& fs, const std::string& directory, Decoder& model) {
  const SafetensorsReader reader(fs, directory);
  check_weights(model.config(), reader);
  const torch::NoGradGuard no_grad;
  for (auto& weight : list_weights(model, WeightNames(model.config().family))) {
    const auto shape = weight.tensor.sizes().vec();
    auto values = reader.read_f32(weight.name, shape);
    weight.tensor.copy_(torch::from_blob(values.data(), shape, torch::kFloat32));
  }
}

std::shared_ptr<Decoder> load_model(FileSystem& fs, const std::string& directory) {
  auto model = std::make_shared<Decoder>(read_model_config(fs, directory), 0);
  load_weights(fs, directory, *model);
  return model;
}

void save_model(FileSystem& fs, const Decoder& model, const std::string& directory,
                const SaveOptions& options) {
  write_files(fs, model, model.config(), directory, options);
}

ModelConfig as_family(const ModelConfig& config, Family family) {
  auto result = config;
  result.family = family;
  validate(result);
  return result;
}

Family best_family(const ModelConfig& config) {
  // From the plainest to the one with most parts; a family that can say it all is as good as ours.
  constexpr std::array kCandidates{Family::llama,    Family::qwen2, Family::qwen3,
                                   Family::mixtral,  Family::olmoe, Family::qwen2_moe,
                                   Family::qwen3_moe};
  for (const auto family : kCandidates) {
    try {
      as_family(config, family);
      return family;
    } catch (const Error&) {
      // This family cannot say it; the next may.
    }
  }
  return Family::switchyard;
}

void export_model(FileSystem& fs, const Decoder& model, const std::string& directory, Family family,
                  const SaveOptions& options) {
  write_files(fs, model, as_family(model.config(), family), directory, options);
}

}  // namespace switchyard::models
