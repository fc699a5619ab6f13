#include "formats/gguf/tokenizer_keys.h"

#include <limits>

namespace switchyard {
namespace {

constexpr std::int64_t kMaxId = std::numeric_limits<std::int32_t>::max();

std::string key(std::string_view rest) { return "tokenizer.ggml." + std::string(rest); }

// -1 stands for no token in some files, also as an unsigned number.
std::optional<std::int32_t> token(const GgufMetadata& metadata, const std::string& name) {
  const auto id = metadata.integer(name, -1, std::numeric_limits<std::uint32_t>::max(), -1);
  if (id < 0 || id > kMaxId) return std::nullopt;
  return static_cast<std::int32_t>(id);
}

std::optional<bool> truth(const GgufMetadata& metadata, const std::string& name) {
  if (!metadata.has(name)) return std::nullopt;
  return metadata.boolean(name);
}

}  // namespace

GgufVocabulary gguf_vocabulary(const GgufMetadata& metadata) {
  GgufVocabulary out;
  out.model = metadata.text(key("model"));
  out.pre = metadata.text(key("pre"), "");
  out.tokens = metadata.texts(key("tokens"));
  if (metadata.has(key("scores"))) out.scores = metadata.floats(key("scores"));
  if (metadata.has(key("token_type"))) {
    for (const std::int64_t type : metadata.integers(key("token_type"), 0, kMaxId)) {
      out.types.push_back(static_cast<std::int32_t>(type));
    }
  }
  if (metadata.has(key("merges"))) out.merges = metadata.texts(key("merges"));
  out.bos = token(metadata, key("bos_token_id"));
  out.eos = token(metadata, key("eos_token_id"));
  out.unknown = token(metadata, key("unknown_token_id"));
  out.add_bos = truth(metadata, key("add_bos_token"));
  out.add_eos = truth(metadata, key("add_eos_token"));
  out.add_space_prefix = truth(metadata, key("add_space_prefix"));
  return out;
}

std::vector<std::pair<std::string, GgufValue>> gguf_tokenizer_keys(
    const GgufVocabulary& vocabulary, const std::string& chat_template) {
  std::vector<std::pair<std::string, GgufValue>> out;
  const auto add = [&](std::string_view rest, GgufValue value) {
    out.emplace_back(key(rest), std::move(value));
  };
  const auto add_token = [&](std::string_view rest, std::optional<std::int32_t> id) {
    if (id) add(rest, static_cast<std::uint32_t>(*id));
  };
  const auto add_truth = [&](std::string_view rest, std::optional<bool> value) {
    if (value) add(rest, *value);
  };
  add("model", vocabulary.model);
  if (!vocabulary.pre.empty()) add("pre", vocabulary.pre);
  add("tokens", GgufArray{vocabulary.tokens});
  if (!vocabulary.scores.empty()) add("scores", GgufArray{vocabulary.scores});
  if (!vocabulary.types.empty()) add("token_type", GgufArray{vocabulary.types});
  if (!vocabulary.merges.empty()) add("merges", GgufArray{vocabulary.merges});
  add_token("bos_token_id", vocabulary.bos);
  add_token("eos_token_id", vocabulary.eos);
  add_token("unknown_token_id", vocabulary.unknown);
  add_truth("add_bos_token", vocabulary.add_bos);
  add_truth("add_eos_token", vocabulary.add_eos);
  add_truth("add_space_prefix", vocabulary.add_space_prefix);
  if (!chat_template.empty()) out.emplace_back("tokenizer.chat_template", chat_template);
  return out;
}

}  // namespace switchyard
