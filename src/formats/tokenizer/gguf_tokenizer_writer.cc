#include "formats/tokenizer/gguf_tokenizer_writer.h"

#include <algorithm>
#include <cstdlib>
#include <unordered_map>
#include <utility>

#include "switchyard/error.h"

#include "formats/json.h"
#include "formats/tokenizer/gguf_pre_tokenizers.h"
#include "formats/tokenizer/parts.h"
#include "formats/tokenizer/scored_pieces.h"
#include "formats/tokenizer/split_pattern.h"
#include "formats/utf8.h"

namespace switchyard::tokenizer {
namespace {

using nlohmann::json;

constexpr const char* kMetaspace = "\u2581";

[[noreturn]] void fail(const std::string& what, const std::string& where,
                       const std::string& expected) {
  throw Error({.what = what,
               .where = where,
               .expected = expected,
               .fix = "keep the model in the Hugging Face layout, or write the file without a "
                      "tokenizer"});
}

// The value of a field; one that is null counts as absent.
std::string text_of(const json& object, const char* name, const std::string& fallback = {}) {
  const auto it = object.find(name);
  return it == object.end() || !it->is_string() ? fallback : it->get<std::string>();
}

bool truth_of(const json& object, const char* name, bool fallback) {
  const auto it = object.find(name);
  return it == object.end() || !it->is_boolean() ? fallback : it->get<bool>();
}

// A step, or the steps of a sequence of them; `list` is what the sequence calls them.
std::vector<json> steps_of(const json& step, const char* list) {
  if (step.is_null()) return {};
  if (text_of(step, "type") != "Sequence") return {step};
  std::vector<json> out;
  for (const json& inner : step.at(list)) {
    for (json& each : steps_of(inner, list)) out.push_back(std::move(each));
  }
  return out;
}

const json& part(const json& file, const char* name) {
  static const json kNull;
  const auto it = file.find(name);
  return it == file.end() ? kNull : *it;
}

// "\x{4E00}" as the character it stands for, as other files write it.
std::string plain_pattern(std::string_view pattern) {
  constexpr std::string_view kEscape = "\\x{";
  std::string out;
  for (std::size_t at = 0; at < pattern.size();) {
    const std::size_t end = pattern.find('}', at);
    if (pattern.substr(at, kEscape.size()) != kEscape || end == std::string_view::npos) {
      out += pattern[at++];
      continue;
    }
    const std::string digits(pattern.substr(at + kEscape.size(), end - at - kEscape.size()));
    append_utf8(out, static_cast<char32_t>(std::strtoul(digits.c_str(), nullptr, 16)));
    at = end + 1;
  }
  return out;
}

class VocabularyWriter {
 public:
  VocabularyWriter(const json& file, std::size_t vocab, std::string where)
      : file_(file), model_(file.at("model")), where_(std::move(where)) {
    list_tokens(vocab);
  }

  GgufVocabulary write() {
    read_post_processor();
    const auto steps = steps_of(part(file_, "pre_tokenizer"), "pretokenizers");
    const bool bytes = std::any_of(steps.begin(), steps.end(), [](const json& step) {
      return text_of(step, "type") == "ByteLevel";
    });
    if (bytes) {
      byte_level(steps);
    } else {
      sentence_piece(steps);
    }
    return std::move(out_);
  }

 private:
  void list_tokens(std::size_t vocab) {
    const auto place = [&](std::size_t id) {
      if (id < out_.tokens.size()) return;
      out_.tokens.resize(id + 1);
      out_.types.resize(id + 1, static_cast<std::int32_t>(PieceType::unused));
    };
    const auto set = [&](std::size_t id, const std::string& text, PieceType type) {
      place(id);
      out_.tokens[id] = text;
      out_.types[id] = static_cast<std::int32_t>(type);
    };
    if (vocab > 0) place(vocab - 1);
    for (const auto& [text, id] : model_.at("vocab").items()) {
      set(id.get<std::size_t>(), text, PieceType::normal);
    }
    for (const json& token : part(file_, "added_tokens")) {
      const auto content = token.at("content").get<std::string>();
      for (const char* flag : {"lstrip", "rstrip", "single_word"}) {
        if (truth_of(token, flag, false)) {
          fail("the added token " + shown(content) + " has " + flag, where_ + ": added_tokens",
               "tokens that leave the text around them alone");
        }
      }
      set(token.at("id").get<std::size_t>(), content,
          truth_of(token, "special", false) ? PieceType::control : PieceType::user_defined);
    }
    // Programs want a text for each id, and no two alike.
    for (std::size_t id = 0; id < out_.tokens.size(); ++id) {
      if (out_.tokens[id].empty()) out_.tokens[id] = "[PAD" + std::to_string(id) + "]";
    }
  }

  // What is put before and behind a text: at most one token each.
  void read_post_processor() {
    out_.add_bos = out_.add_eos = false;
    const std::string where = where_ + ": post_processor";
    for (const json& step : steps_of(part(file_, "post_processor"), "processors")) {
      const std::string type = text_of(step, "type");
      if (type == "ByteLevel") continue;
      if (type != "TemplateProcessing") {
        fail("the post-processor is of kind " + shown(type), where, "TemplateProcessing");
      }
      bool before = true;
      for (const json& item : step.at("single")) {
        if (item.contains("Sequence")) {
          before = false;
          continue;
        }
        const auto name = item.at("SpecialToken").at("id").get<std::string>();
        const json& ids = step.at("special_tokens").at(name).at("ids");
        auto& added = before ? out_.add_bos : out_.add_eos;
        if (ids.size() != 1 || *added) {
          fail("more than one token is put on one end of a text", where, "one");
        }
        added = true;
        (before ? out_.bos : out_.eos) = ids.at(0).get<std::int32_t>();
      }
    }
  }

  void refuse_step(const json& step, const std::string& place) const {
    fail(place + " has a step of kind " + shown(text_of(step, "type")), where_ + ": " + place,
         "steps that GGUF has a name for");
  }

  // ---- byte-level -------------------------------------------------------------------------------

  void byte_level(const std::vector<json>& steps) {
    out_.model = "gpt2";
    out_.pre = pre_tokenizer_name(steps);
    for (const json& merge : model_.at("merges")) out_.merges.push_back(joined(merge));
  }

  std::string joined(const json& merge) const {
    if (merge.is_string()) return merge.get<std::string>();
    const auto left = merge.at(0).get<std::string>();
    const auto right = merge.at(1).get<std::string>();
    if ((left + right).find(' ') != std::string::npos) {
      fail("a merge has a token with a space, " + shown(left + right), where_ + ": model.merges",
           "tokens in the byte alphabet of GPT-2");
    }
    return left + " " + right;
  }

  std::vector<std::string> patterns(const std::vector<json>& steps) const {
    std::vector<std::string> out;
    for (const json& step : steps) {
      const std::string type = text_of(step, "type");
      if (type == "ByteLevel") {
        if (truth_of(step, "add_prefix_space", true)) {
          fail("a space is put before every text", where_ + ": pre_tokenizer",
               "add_prefix_space false");
        }
        if (truth_of(step, "use_regex", true)) out.emplace_back(kGpt2Pattern);
      } else if (type == "Split" && step.at("pattern").contains("Regex") &&
                 text_of(step, "behavior") == "Isolated" && !truth_of(step, "invert", false)) {
        out.push_back(plain_pattern(step.at("pattern").at("Regex").get<std::string>()));
      } else if (type == "Digits" && truth_of(step, "individual_digits", false)) {
        out.emplace_back(R"(\p{N})");
      } else {
        refuse_step(step, "pre_tokenizer");
      }
    }
    return out;
  }

  std::string pre_tokenizer_name(const std::vector<json>& steps) const {
    using Extra = GgufPreTokenizer::Extra;
    const bool llama3 = truth_of(model_, "ignore_merges", false);
    Extra extra = llama3 ? Extra::llama3 : Extra::none;
    for (const json& step : steps_of(part(file_, "normalizer"), "normalizers")) {
      if (text_of(step, "type") != "NFC" || llama3) refuse_step(step, "normalizer");
      extra = Extra::nfc;
    }
    const std::vector<std::string> wanted = patterns(steps);
    for (const GgufPreTokenizer& known : gguf_pre_tokenizers()) {
      const bool same =
          known.extra == extra &&
          std::equal(wanted.begin(), wanted.end(), known.patterns.begin(), known.patterns.end(),
                     [](const auto& a, std::string_view b) { return a == plain_pattern(b); });
      if (same) return std::string(known.name);
    }
    fail("texts are cut in a way that GGUF has no name for", where_ + ": pre_tokenizer",
         "the rule of a known family of models");
  }

  // ---- SentencePiece ----------------------------------------------------------------------------

  void sentence_piece(const std::vector<json>& steps) {
    out_.model = "llama";
    out_.pre = "default";
    out_.add_space_prefix = puts_space(steps);
    if (!truth_of(model_, "byte_fallback", false)) {
      fail("characters without a token have no bytes", where_ + ": model.byte_fallback", "true");
    }
    set_types();
    set_scores();
    check_merges();
  }

  // Whether a space is put before the text; throws for anything else than U+2581 for spaces.
  bool puts_space(const std::vector<json>& pre_tokenizer) const {
    bool prefix = false;
    bool escaped = false;
    for (const json& step : pre_tokenizer) {
      if (text_of(step, "type") != "Metaspace" || text_of(step, "replacement") != kMetaspace) {
        refuse_step(step, "pre_tokenizer");
      }
      const bool old_flag = truth_of(step, "add_prefix_space", true);  // before the scheme
      const std::string scheme = text_of(step, "prepend_scheme", old_flag ? "always" : "never");
      prefix = scheme != "never";
      escaped = true;
    }
    for (const json& step : steps_of(part(file_, "normalizer"), "normalizers")) {
      const std::string type = text_of(step, "type");
      if (type == "Prepend" && text_of(step, "prepend") == kMetaspace) {
        prefix = true;
      } else if (type == "Replace" && text_of(step.at("pattern"), "String") == " " &&
                 text_of(step, "content") == kMetaspace) {
        escaped = true;
      } else {
        refuse_step(step, "normalizer");
      }
    }
    if (!escaped) fail("spaces stay spaces", where_ + ": normalizer", "U+2581 in their place");
    return prefix;
  }

  void set_types() {
    const json& unknown = part(model_, "unk_token");
    for (std::size_t id = 0; id < out_.tokens.size(); ++id) {
      const std::string& text = out_.tokens[id];
      if (unknown.is_string() && unknown == text) {
        out_.types[id] = static_cast<std::int32_t>(PieceType::unknown);
        out_.unknown = static_cast<std::int32_t>(id);
      } else if (text.size() == 6 && text.starts_with("<0x") && text.back() == '>') {
        out_.types[id] = static_cast<std::int32_t>(PieceType::byte);
      }
    }
  }

  // A token's score is its place among the results of merges: the earlier, the higher.
  void set_scores() {
    std::unordered_map<std::string, float> ranks;
    for (const json& merge : model_.at("merges")) {
      ranks.emplace(result(merge), 0.0F - static_cast<float>(ranks.size()));
    }
    const auto last = 0.0F - static_cast<float>(ranks.size());
    for (const std::string& text : out_.tokens) {
      const auto rank = ranks.find(text);
      out_.scores.push_back(rank == ranks.end() ? last : rank->second);
    }
  }

  static std::string result(const json& merge) {
    if (!merge.is_string()) return merge.at(0).get<std::string>() + merge.at(1).get<std::string>();
    std::string text = merge.get<std::string>();
    return text.erase(text.find(' '), 1);
  }

  // Scores merge every two pieces that make a third; a list of merges may leave some out.
  void check_merges() const {
    ScoredPieces source;
    for (std::size_t id = 0; id < out_.tokens.size(); ++id) {
      source.pieces.push_back(
          {out_.tokens[id], out_.scores[id], static_cast<PieceType>(out_.types[id])});
    }
    const auto pairs = [](const json& merges) {
      std::vector<std::string> list;
      for (const json& merge : merges) {
        list.push_back(merge.is_string()
                           ? merge.get<std::string>()
                           : merge.at(0).get<std::string>() + " " + merge.at(1).get<std::string>());
      }
      return list;
    };
    const json rebuilt = from_scored_pieces(source, where_);
    if (pairs(rebuilt.at("model").at("merges")) == pairs(model_.at("merges"))) return;
    fail("the merges are not those of scored pieces", where_ + ": model.merges",
         "all merges of the vocabulary, by the score of their result");
  }

  const json& file_;
  const json& model_;
  std::string where_;
  GgufVocabulary out_;
};

}  // namespace

GgufVocabulary to_gguf(const json& file, std::size_t vocab, const std::string& where) {
  return VocabularyWriter(file, vocab, where).write();
}

}  // namespace switchyard::tokenizer
