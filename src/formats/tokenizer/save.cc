#include <algorithm>
#include <utility>
#include <vector>

#include "formats/tokenizer/parts.h"

namespace switchyard::tokenizer {
namespace {

using nlohmann::json;

std::string quoted(const std::string& text) { return json(text).dump(); }

std::string added_tokens_text(const Parts& parts) {
  json list = json::array();
  for (const AddedToken& token : parts.added) {
    list.push_back({{"id", token.id},
                    {"content", token.content},
                    {"single_word", token.single_word},
                    {"lstrip", token.lstrip},
                    {"rstrip", token.rstrip},
                    {"normalized", token.normalized},
                    {"special", token.special}});
  }
  return list.dump();
}

std::string vocabulary_text(const Parts& parts) {
  std::string out = "{";
  for (std::size_t id = 0; id < parts.vocabulary.size(); ++id) {
    const std::string* text = parts.vocabulary.text(static_cast<TokenId>(id));
    if (text == nullptr || parts.only_added[id]) continue;
    out += out.size() > 1 ? ",\n" : "\n";
    out += quoted(*text) + ":" + std::to_string(id);
  }
  return out + "}";
}

// "a b" as every reader knows it, unless a token holds a space: then pairs, for all.
std::string merges_text(const Parts& parts) {
  std::vector<std::pair<std::uint32_t, std::pair<TokenId, TokenId>>> ranked;
  parts.bpe->merges().for_each([&](TokenId left, TokenId right, const Merge& merge) {
    ranked.push_back({merge.rank, {left, right}});
  });
  std::sort(ranked.begin(), ranked.end());
  const auto text = [&](TokenId id) -> const std::string& { return *parts.vocabulary.text(id); };
  const auto has_space = [&](TokenId id) { return text(id).find(' ') != std::string::npos; };
  const bool pairs = std::any_of(ranked.begin(), ranked.end(), [&](const auto& merge) {
    return has_space(merge.second.first) || has_space(merge.second.second);
  });
  std::string out = "[";
  for (const auto& [rank, pair] : ranked) {
    const auto& [left, right] = pair;
    out += out.size() > 1 ? ",\n" : "\n";
    out += pairs ? json::array({text(left), text(right)}).dump()
                 : quoted(text(left) + " " + text(right));
  }
  return out + "]";
}

// Writes the members of an object, then those with ready texts.
std::string object_text(const json& members,
                        const std::vector<std::pair<std::string, std::string>>& ready) {
  std::string out = "{";
  const auto add = [&](const std::string& key, const std::string& value) {
    out += out.size() > 1 ? ",\n" : "\n";
    out += quoted(key) + ": " + value;
  };
  for (const auto& [key, value] : members.items()) add(key, value.dump());
  for (const auto& [key, text] : ready) add(key, text);
  return out + "}";
}

}  // namespace

std::string to_json_text(const Parts& parts) {
  json rest = parts.source;
  const json model = rest["model"];
  rest.erase("model");
  const std::string model_text =
      object_text(model, {{"vocab", vocabulary_text(parts)}, {"merges", merges_text(parts)}});
  return object_text(rest, {{"added_tokens", added_tokens_text(parts)}, {"model", model_text}}) +
         "\n";
}

}  // namespace switchyard::tokenizer
