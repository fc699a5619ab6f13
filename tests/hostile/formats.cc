#include "hostile/formats.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace switchyard::hostile {
namespace {

// The names are those of the fuzz targets in CMakeLists.txt.
constexpr std::array kFormats = {
    Format{"safetensors", safetensors_seeds, read_safetensors},
    Format{"safetensors_index", safetensors_index_seeds, read_safetensors_index},
    Format{"gguf", gguf_seeds, read_gguf},
    Format{"gguf_model", gguf_model_seeds, read_gguf_model},
    Format{"gguf_split", gguf_split_seeds, read_gguf_split},
    Format{"importance", importance_seeds, read_importance_file},
    Format{"model_config", model_config_seeds, read_model_config},
    Format{"routing_config", routing_config_seeds, read_routing_config},
    Format{"npy", npy_seeds, read_npy},
    Format{"text", text_seeds, read_text},
    Format{"jsonl", jsonl_seeds, read_jsonl},
    Format{"tsv", tsv_seeds, read_tsv},
    Format{"idx", idx_seeds, read_idx},
    Format{"cifar10", cifar10_seeds, read_cifar10},
    Format{"xz", xz_seeds, read_xz},
    Format{"gzip", gzip_seeds, read_gzip},
    Format{"tokenizer_file", tokenizer_file_seeds, read_tokenizer_file},
    Format{"tokenizer_text", tokenizer_text_seeds, read_tokenizer_text},
    Format{"tokenizer_model", tokenizer_model_seeds, read_tokenizer_model},
    Format{"tokenizer_gguf", tokenizer_gguf_seeds, read_tokenizer_gguf},
    Format{"chat_template", chat_template_seeds, read_chat_template},
    Format{"expert_pack", expert_pack_seeds, read_expert_pack},
    Format{"recipe", recipe_seeds, read_recipe},
};

}  // namespace

std::span<const Format> formats() { return kFormats; }

std::string join(std::string_view first, std::string_view second) {
  const auto length = static_cast<std::uint32_t>(first.size());
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes.append(first).append(second);
}

std::pair<std::string_view, std::string_view> split(std::string_view bytes) {
  std::uint32_t length = 0;
  std::memcpy(&length, bytes.data(), std::min(bytes.size(), sizeof length));
  bytes.remove_prefix(std::min(bytes.size(), sizeof length));
  return {bytes.substr(0, length), bytes.substr(std::min<std::size_t>(length, bytes.size()))};
}

}  // namespace switchyard::hostile
