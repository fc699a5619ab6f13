#include "cli/convert_model.h"

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "switchyard/chat_template.h"
#include "switchyard/error.h"
#include "switchyard/expert_pack.h"
#include "switchyard/gguf.h"
#include "switchyard/model_files.h"
#include "switchyard/thread_pool.h"
#include "switchyard/tokenizer.h"

#include "cli/model_output.h"
#include "formats/dtype.h"
#include "formats/gguf/gguf_model.h"
#include "formats/gguf/tokenizer_keys.h"
#include "formats/sharded_safetensors.h"

namespace switchyard::cli {
namespace {

// The type a tensor of a directory gets.
DType directory_type(const WeightFiles& tensors, const TensorInfo& tensor,
                     const ConvertOptions& options) {
  if (is_floating(tensor.dtype)) return options.dtype.value_or(tensor.dtype);
  if (!is_quantised(tensor.dtype)) return tensor.dtype;
  if (options.dtype) return *options.dtype;
  throw Error({.what = "safetensors files have no type " + std::string(dtype_name(tensor.dtype)),
               .where = tensors.files().at(tensor.file) + ": tensor '" + tensor.name + "'",
               .expected = "--to f32 or --to bf16",
               .fix = "add one of them, or write a GGUF file: convert IN OUT.gguf"});
}

// The two parts of kv_b that some GGUF files have: WeightFiles has the whole as well.
std::set<std::string> repeated_weights(const ModelConfig& config, const WeightFiles& tensors) {
  std::set<std::string> names;
  if (!config.mla) return names;
  const WeightNames weights(config.family);
  for (int l = 0; l < config.layers; ++l) {
    if (!tensors.has(weights.layer(l, "kv_b"))) continue;
    names.insert(weights.layer(l, "k_b"));
    names.insert(weights.layer(l, "v_b"));
  }
  return names;
}

// In one file, as it was; shards are put together.
void write_tensors(FileSystem& fs, const WeightFiles& tensors, const ModelConfig& config,
                   const std::map<std::string, std::string>& metadata, const std::string& directory,
                   const ConvertOptions& options) {
  ThreadPool pool(options.threads);
  write_safetensors_model(
      fs, directory, tensors,
      {.type_of = [&](const TensorInfo& t) { return directory_type(tensors, t, options); },
       .leave_out = repeated_weights(config, tensors),
       .shard_bytes = ~std::uint64_t{0},
       .metadata = metadata,
       .pool = &pool,
       .progress = options.progress});
}

// Everything but the weights: config.json with the new type, tokenizer and whatever else lies
// there.
void copy_rest(FileSystem& fs, const std::string& from, const std::string& to,
               const ConvertOptions& options) {
  for (const std::string& name : fs.list(from)) {
    const std::string path = from + "/" + name;
    if (fs.is_directory(path) || name.ends_with(".safetensors") ||
        name.ends_with(".safetensors.index.json") || name == experts::kPackFile) {
      continue;
    }
    std::string content = read_file(fs, path);
    if (name == "config.json" && options.dtype) {
      nlohmann::json config = nlohmann::json::parse(content);
      config.erase("quantization_config");  // no weight is quantised any more
      config["torch_dtype"] = *options.dtype == DType::bf16 ? "bfloat16" : "float32";
      content = config.dump(2) + "\n";
    }
    write_file_atomically(fs, to + "/" + name, content);
  }
}

// What a GGUF file says besides its weights, as a directory has it.
void write_rest(FileSystem& fs, const std::string& from, const ModelConfig& config,
                const std::string& to, const ConvertOptions& options) {
  const std::string_view type = !options.dtype                  ? ""
                                : *options.dtype == DType::bf16 ? "bfloat16"
                                                                : "float32";
  write_file_atomically(fs, to + "/config.json", to_json(config, type).dump(2) + "\n");
  const GgufReader gguf(fs, from);
  if (gguf.metadata().has("tokenizer.ggml.model"))
    Tokenizer::load(fs, from).save(fs, to + "/tokenizer.json");
  const std::string chat = gguf.metadata().text("tokenizer.chat_template", "");
  if (!chat.empty()) write_file_atomically(fs, to + "/chat_template.jinja", chat);
}

void write_directory(FileSystem& fs, const std::string& from, const ModelConfig& config,
                     const std::string& to, const ConvertOptions& options) {
  if (is_gguf(fs, from)) {
    write_tensors(fs, open_weights(fs, from, config), config, {{"format", "pt"}}, to, options);
    write_rest(fs, from, config, to, options);
  } else {
    write_tensors(fs, open_weights(fs, from, config), config,
                  SafetensorsReader(fs, from).metadata(), to, options);
    copy_rest(fs, from, to, options);
  }
  if (options.pack) {
    if (!config.moe) {
      throw Error({.what = "this model has no experts to pack",
                   .where = from,
                   .expected = {},
                   .fix = "leave out --pack"});
    }
    experts::write_pack(fs, to, config, options.pack_alignment, options.progress);
  }
}

// The tokenizer.* keys of a GGUF file: those it has, or a directory's own.
std::vector<std::pair<std::string, GgufValue>> tokenizer_keys(FileSystem& fs,
                                                              const std::string& from,
                                                              const ModelConfig& config) {
  std::vector<std::pair<std::string, GgufValue>> keys;
  if (is_gguf(fs, from)) {
    const GgufReader gguf(fs, from);
    for (const auto& [key, value] : gguf.metadata().values()) {
      if (key.starts_with("tokenizer.")) keys.emplace_back(key, value);
    }
    return keys;
  }
  if (!Tokenizer::exists(fs, from)) return keys;
  const auto chat = find_chat_template(fs, from);
  return gguf_tokenizer_keys(
      Tokenizer::load(fs, from).to_gguf(static_cast<std::size_t>(config.vocab)),
      chat ? chat->source() : std::string());
}

// Where the rounding comes from, under the keys that other programs write.
void add_importance_keys(const ImportanceData& data,
                         std::vector<std::pair<std::string, GgufValue>>& keys) {
  keys.emplace_back("quantize.imatrix.file", std::filesystem::path(data.where).filename().string());
  if (!data.datasets.empty()) keys.emplace_back("quantize.imatrix.dataset", data.datasets.front());
  keys.emplace_back("quantize.imatrix.entries_count",
                    static_cast<std::uint32_t>(data.entries.size()));
  keys.emplace_back("quantize.imatrix.chunks_count", data.chunks);
}

void write_gguf_file(FileSystem& fs, const std::string& from, const ModelConfig& config,
                     const std::string& to, const ConvertOptions& options) {
  ThreadPool pool(options.threads);
  GgufWriteOptions write{.packed = options.pack,
                         .metadata = tokenizer_keys(fs, from, config),
                         .pool = &pool,
                         .progress = options.progress};
  write.type_of = [&](const std::string& tensor, std::span<const std::int64_t> shape) {
    return options.types.of(tensor, shape);
  };
  if (options.importance != nullptr) {
    write.importance = [&](const std::string& weight) { return options.importance->of(weight); };
    add_importance_keys(options.importance->data(), write.metadata);
  }
  write_gguf(fs, to, config, open_weights(fs, from, config), write);
}

}  // namespace

void convert_model(FileSystem& fs, const std::string& from, const std::string& to,
                   const ConvertOptions& options) {
  check_name_is_free(fs, to);
  const ModelConfig config = read_model_config(fs, from);
  if (names_gguf(to)) {
    write_gguf_file(fs, from, config, to, options);
    return;
  }
  write_directory_atomically(fs, to, [&](const std::string& directory) {
    write_directory(fs, from, config, directory, options);
  });
}

}  // namespace switchyard::cli
