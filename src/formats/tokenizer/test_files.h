// Small tokenizer.json documents and texts for the tests of this folder.
#pragma once

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "formats/tokenizer/byte_alphabet.h"
#include "formats/utf8.h"

namespace switchyard::tokenizer {

inline nlohmann::json byte_level_json(bool add_prefix_space = false, bool use_regex = true) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

// A byte-level BPE: "<|end|>" is 0, byte b is 1 + b, then one token for each merge "a b" (written
// in the byte alphabet).
inline nlohmann::json byte_level_file(const std::vector<std::string>& merges = {}) {
  nlohmann::json vocabulary = nlohmann::json::object();
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::string text;
    append_utf8(text, kByteAlphabet[byte]);
    vocabulary[text] = 1 + byte;
  }
  for (const std::string& merge : merges) {
    const std::size_t space = merge.find(' ');
    vocabulary.emplace(merge.substr(0, space) + merge.substr(space + 1), vocabulary.size() + 1);
  }
  return {{"version", "1.0"},
          {"added_tokens",
           nlohmann::json::array(
               {{{"id", 0}, {"content", "<|end|>"}, {"special", true}, {"normalized", false}}})},
          {"pre_tokenizer", byte_level_json()},
          {"decoder", byte_level_json()},
          {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}}}};
}

// A SentencePiece-style BPE as Llama 2 has it: "<unk>" 0, "<s>" 1, "</s>" 2, bytes "<0x00>" to
// "<0xFF>" 3 to 258, then `characters` one by one, then one token for each merge.
inline nlohmann::json sentencepiece_file(const std::vector<std::string>& characters,
                                         const std::vector<std::string>& merges) {
  nlohmann::json vocabulary = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  const char* digits = "0123456789ABCDEF";
  for (unsigned byte = 0; byte < 256; ++byte) {
    vocabulary[std::string{'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'}] = 3 + byte;
  }
  for (const std::string& character : characters) vocabulary.emplace(character, vocabulary.size());
  for (const std::string& merge : merges) {
    const std::size_t space = merge.find(' ');
    vocabulary.emplace(merge.substr(0, space) + merge.substr(space + 1), vocabulary.size());
  }
  nlohmann::json added = nlohmann::json::array();
  for (const char* special : {"<unk>", "<s>", "</s>"}) {
    added.push_back({{"id", vocabulary[special]},
                     {"content", special},
                     {"special", true},
                     {"normalized", false}});
  }
  using nlohmann::json;
  const json bos = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  return {
      {"version", "1.0"},
      {"added_tokens", added},
      {"normalizer",
       {{"type", "Sequence"},
        {"normalizers",
         {{{"type", "Prepend"}, {"prepend", "▁"}},
          {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}}}}},
      {"pre_tokenizer", nullptr},
      {"post_processor",
       {{"type", "TemplateProcessing"},
        {"single", json::array({bos, text})},
        {"pair", json::array({bos, text})},
        {"special_tokens",
         {{"<s>", {{"id", "<s>"}, {"ids", json::array({1})}, {"tokens", json::array({"<s>"})}}}}}}},
      {"decoder",
       {{"type", "Sequence"},
        {"decoders",
         {{{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}},
          {{"type", "ByteFallback"}},
          {{"type", "Fuse"}},
          {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
      {"model",
       {{"type", "BPE"},
        {"unk_token", "<unk>"},
        {"fuse_unk", true},
        {"byte_fallback", true},
        {"vocab", vocabulary},
        {"merges", merges}}}};
}

// Well-formed text of `length` characters that likes the edges: spaces, newlines, quotes, marks,
// letters and digits of many scripts, emoji, control characters.
inline std::string random_text(std::mt19937& random, std::size_t length) {
  struct Range {
    char32_t low, high;
  };
  static constexpr Range kRanges[] = {
      {0x20, 0x20},        {0x20, 0x20},     {0x09, 0x0D},       {0x00, 0x7F},
      {'a', 'z'},          {'a', 'z'},       {'0', '9'},         {'\'', '\''},
      {'l', 't'},          {0x80, 0x24F},    {0x300, 0x36F},     {0x660, 0x669},
      {0x1680, 0x1680},    {0x180E, 0x180E}, {0x2000, 0x206F},   {0x2150, 0x218F},
      {0x3000, 0x30FF},    {0x4E00, 0x9FFF}, {0xAC00, 0xD7A3},   {0xE000, 0xE0FF},
      {0xFB00, 0xFFFF},    {0x17F, 0x17F},   {0x1D7CE, 0x1D7FF}, {0x1F300, 0x1F6FF},
      {0x10FF00, 0x10FFFF}};
  std::string text;
  std::uniform_int_distribution<std::size_t> pick(0, std::size(kRanges) - 1);
  for (std::size_t i = 0; i < length; ++i) {
    const Range& range = kRanges[pick(random)];
    append_utf8(text, std::uniform_int_distribution<char32_t>(range.low, range.high)(random));
  }
  return text;
}

}  // namespace switchyard::tokenizer
