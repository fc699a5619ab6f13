#include "formats/tokenizer/byte_level_file.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace switchyard::tokenizer {

using nlohmann::json;

json byte_level_bpe_file(std::span<const std::string> texts, std::span<const std::string> merges,
                         std::span<const TokenId> special) {
  json vocabulary = json::object();
  for (std::size_t id = 0; id < texts.size(); ++id) vocabulary[texts[id]] = id;
  json added = json::array();
  for (const TokenId id : special) {
    added.push_back({{"id", id},
                     {"content", texts[static_cast<std::size_t>(id)]},
                     {"special", true},
                     {"normalized", false},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false}});
  }
  const json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", true}};
  json model = {{"type", "BPE"},
                {"dropout", nullptr},
                {"unk_token", nullptr},
                {"continuing_subword_prefix", nullptr},
                {"fuse_unk", false},
                {"end_of_word_suffix", nullptr},
                {"byte_fallback", false},
                {"ignore_merges", false},
                {"vocab", std::move(vocabulary)},
                {"merges", merges}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"post_processor", nullptr},
          {"decoder", byte_level},
          {"added_tokens", std::move(added)},
          {"model", std::move(model)}};
}

}  // namespace switchyard::tokenizer
