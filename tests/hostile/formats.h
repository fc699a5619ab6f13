// Every reader of files and texts from outside, as a table: what a valid input looks like, and how
// to read any input. The fuzz targets and the exhaustive tests both work on it, so a new format is
// attacked by adding its row.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace switchyard::hostile {

struct Format {
  std::string_view name;
  // Small valid inputs, made by our own writers. Also the first corpus of the fuzz target.
  std::vector<std::string> (*seeds)();
  // Reads `bytes` as this format and uses the result. Throws Error if they are refused. Any other
  // exception, a crash, a sanitizer's report or a wrong result (InternalError) is a bug.
  void (*read)(std::string_view bytes);
};

std::span<const Format> formats();

// Two inputs in one: 4 bytes length of the first (little-endian), the first, the second. Splitting
// never fails: a length beyond the end means that the second is empty.
std::string join(std::string_view first, std::string_view second);
std::pair<std::string_view, std::string_view> split(std::string_view bytes);

// ---- the formats, one function pair each; files of this folder define them ----------------------

std::vector<std::string> safetensors_seeds();
void read_safetensors(std::string_view bytes);
std::vector<std::string> safetensors_index_seeds();
void read_safetensors_index(std::string_view bytes);
std::vector<std::string> model_config_seeds();
void read_model_config(std::string_view bytes);
std::vector<std::string> routing_config_seeds();
void read_routing_config(std::string_view bytes);
std::vector<std::string> gguf_seeds();
void read_gguf(std::string_view bytes);
std::vector<std::string> gguf_model_seeds();
void read_gguf_model(std::string_view bytes);
std::vector<std::string> importance_seeds();
void read_importance_file(std::string_view bytes);
std::vector<std::string> gguf_split_seeds();
void read_gguf_split(std::string_view bytes);
std::vector<std::string> npy_seeds();
void read_npy(std::string_view bytes);
std::vector<std::string> text_seeds();
void read_text(std::string_view bytes);
std::vector<std::string> jsonl_seeds();
void read_jsonl(std::string_view bytes);
std::vector<std::string> tsv_seeds();
void read_tsv(std::string_view bytes);
std::vector<std::string> idx_seeds();
void read_idx(std::string_view bytes);
std::vector<std::string> cifar10_seeds();
void read_cifar10(std::string_view bytes);
std::vector<std::string> xz_seeds();
void read_xz(std::string_view bytes);
std::vector<std::string> gzip_seeds();
void read_gzip(std::string_view bytes);
std::vector<std::string> tokenizer_file_seeds();
void read_tokenizer_file(std::string_view bytes);
std::vector<std::string> tokenizer_text_seeds();
void read_tokenizer_text(std::string_view bytes);
std::vector<std::string> tokenizer_model_seeds();
void read_tokenizer_model(std::string_view bytes);
std::vector<std::string> tokenizer_gguf_seeds();
void read_tokenizer_gguf(std::string_view bytes);
std::vector<std::string> chat_template_seeds();
void read_chat_template(std::string_view bytes);
std::vector<std::string> expert_pack_seeds();
void read_expert_pack(std::string_view bytes);
std::vector<std::string> recipe_seeds();
void read_recipe(std::string_view bytes);

}  // namespace switchyard::hostile
