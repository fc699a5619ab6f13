#include <string_view>

#include "switchyard/error.h"

#include "formats/json.h"
#include "formats/tokenizer/parts.h"

namespace switchyard::tokenizer {
namespace {

using nlohmann::json;

constexpr const char* kEndOfText = "<|endoftext|>";

// One "a b" a line, in order of rank; the first line may say "#version".
json read_merge_lines(std::string_view text) {
  json merges = json::array();
  bool first = true;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const bool version = first && line.starts_with("#version");
    first = false;
    if (!line.empty() && !version) merges.push_back(std::string(line));
  }
  return merges;
}

}  // namespace

json from_gpt2_files(const std::string& vocabulary_text, const std::string& merges_text,
                     const std::string& where) {
  json vocabulary = parse_json(vocabulary_text, where);
  if (!vocabulary.is_object()) {
    throw Error({.what = std::string("found a JSON ") + vocabulary.type_name(),
                 .where = where,
                 .expected = "an object of tokens and their ids"});
  }
  json added = json::array();
  if (const auto id = vocabulary.find(kEndOfText); id != vocabulary.end()) {
    added.push_back(
        {{"id", *id}, {"content", kEndOfText}, {"special", true}, {"normalized", false}});
  }
  const json byte_level = {{"type", "ByteLevel"},
                           {"add_prefix_space", false},
                           {"trim_offsets", true},
                           {"use_regex", true}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", std::move(added)},
          {"normalizer", nullptr},
          {"pre_tokenizer", byte_level},
          {"post_processor", nullptr},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", false},
            {"vocab", std::move(vocabulary)},
            {"merges", read_merge_lines(merges_text)}}}};
}

}  // namespace switchyard::tokenizer
