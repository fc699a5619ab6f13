#include "formats/tokenizer/pre_tokenizer.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "formats/tokenizer/byte_alphabet.h"
#include "formats/tokenizer/json_fields.h"
#include "formats/tokenizer/pattern.h"
#include "formats/tokenizer/splitter.h"
#include "formats/tokenizer/unicode.h"
#include "formats/utf8.h"

namespace switchyard::tokenizer {
namespace {

using Predicate = bool (*)(char32_t);

// Feeds each run of characters outside `delimiter`, and each character inside it as a match of its
// own.
void feed_chars(std::string_view text, Predicate delimiter, Splitter& splitter) {
  std::size_t run = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t begin = i;
    if (!delimiter(next_char(text, i))) continue;
    if (run < begin) splitter.feed(run, begin, false);
    splitter.feed(begin, i, true);
    run = i;
  }
  if (run < text.size()) splitter.feed(run, text.size(), false);
}

void cut_known(SplitPattern pattern, const Piece& piece, PieceSink& out) {
  for (std::size_t begin = 0; begin < piece.text.size();) {
    const std::size_t end = next_piece_end(pattern, piece.text, begin);
    out.take({piece.text.substr(begin, end - begin), piece.first && begin == 0});
    begin = end;
  }
}

class Split : public PreTokenizer {
 public:
  Split(Pattern pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {
    // A known pattern matches every byte, so that keeping the matches and isolating them are the
    // same.
    const bool keeps_matches = (behavior_ == SplitBehavior::isolated && !invert_) ||
                               (behavior_ == SplitBehavior::removed && invert_);
    if (!keeps_matches) pattern_.known.reset();
  }

  void cut(const Piece& piece, PieceSink& out) const override {
    if (pattern_.known) return cut_known(*pattern_.known, piece, out);
    Splitter splitter(piece, behavior_, out);
    std::size_t end_of_last = 0;
    pattern_.regex.for_each_match(piece.text, [&](std::size_t begin, std::size_t end) {
      if (end_of_last < begin) splitter.feed(end_of_last, begin, invert_);
      splitter.feed(begin, end, !invert_);
      end_of_last = end;
    });
    if (end_of_last < piece.text.size()) splitter.feed(end_of_last, piece.text.size(), invert_);
    splitter.finish();
  }

 private:
  Pattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

// Cuts at single characters: Digits, Punctuation, WhitespaceSplit.
class CharSplit : public PreTokenizer {
 public:
  CharSplit(Predicate delimiter, SplitBehavior behavior)
      : delimiter_(delimiter), behavior_(behavior) {}

  void cut(const Piece& piece, PieceSink& out) const override {
    Splitter splitter(piece, behavior_, out);
    feed_chars(piece.text, delimiter_, splitter);
    splitter.finish();
  }

 private:
  Predicate delimiter_;
  SplitBehavior behavior_;
};

// Words and runs of symbols; white space disappears: \w+|[^\w\s]+
class Whitespace : public PreTokenizer {
 public:
  void cut(const Piece& piece, PieceSink& out) const override {
    const std::string_view text = piece.text;
    std::size_t begin = 0;
    int kind = 0;
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t at = i;
      const int next = kind_of(next_char(text, i));
      if (next == kind) continue;
      emit(piece, begin, at, kind, out);
      begin = at;
      kind = next;
    }
    emit(piece, begin, text.size(), kind, out);
  }

 private:
  static int kind_of(char32_t c) { return is_word(c) ? 1 : is_white_space(c) ? 0 : 2; }
  static void emit(const Piece& piece, std::size_t begin, std::size_t end, int kind,
                   PieceSink& out) {
    if (kind == 0 || begin == end) return;
    out.take({piece.text.substr(begin, end - begin), piece.first && begin == 0});
  }
};

class Metaspace : public PreTokenizer {
 public:
  enum class Prepend { always, first, never };

  Metaspace(std::string replacement, Prepend prepend, bool split)
      : replacement_(std::move(replacement)), prepend_(prepend), split_(split) {}

  void cut(const Piece& piece, PieceSink& out) const override {
    std::string text;
    text.reserve(piece.text.size() + piece.text.size() / 2);
    for (const char c : piece.text) {
      if (c == ' ') {
        text += replacement_;
      } else {
        text += c;
      }
    }
    const bool wanted = prepend_ == Prepend::always || (prepend_ == Prepend::first && piece.first);
    if (wanted && !text.starts_with(replacement_)) text.insert(0, replacement_);
    const Piece whole{text, piece.first};
    if (split_) {
      cut_words(whole, out);
    } else if (!text.empty()) {
      out.take(whole);
    }
  }

 private:
  // Each replacement character begins a piece.
  void cut_words(const Piece& piece, PieceSink& out) const {
    for (std::size_t begin = 0; begin < piece.text.size();) {
      std::size_t end = begin + utf8_length(piece.text[begin]);
      end = std::min(piece.text.find(replacement_, end), piece.text.size());
      out.take({piece.text.substr(begin, end - begin), piece.first && begin == 0});
      begin = end;
    }
  }

  std::string replacement_;
  Prepend prepend_;
  bool split_;
};

class MetaspaceCutter : public PreTokenizer {
 public:
  void cut(const Piece& piece, PieceSink& out) const override {
    constexpr std::string_view kMetaspace = "\u2581";
    const std::string_view text = piece.text;
    std::size_t begin = 0;
    for (std::size_t i = text.find(kMetaspace, 1); i < text.size();
         i = text.find(kMetaspace, i + kMetaspace.size())) {
      if (text.substr(0, i).ends_with(kMetaspace)) continue;
      out.take({text.substr(begin, i - begin), piece.first && begin == 0});
      begin = i;
    }
    if (begin < text.size()) out.take({text.substr(begin), piece.first && begin == 0});
  }
};

class ByteLevel : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, bool use_regex)
      : add_prefix_space_(add_prefix_space), use_regex_(use_regex) {}

  // The model takes bytes: this step then only cuts.
  void leave_bytes() { map_ = false; }
  bool does_nothing() const { return !map_ && !add_prefix_space_ && !use_regex_; }

  void cut(const Piece& piece, PieceSink& out) const override {
    std::string prefixed;
    Piece whole = piece;
    if (add_prefix_space_ && !whole.text.starts_with(' ')) {
      prefixed = " ";
      prefixed += whole.text;
      whole.text = prefixed;
    }
    Mapper mapper(map_, out);
    if (use_regex_) {
      cut_known(SplitPattern::gpt2, whole, mapper);
    } else if (!whole.text.empty()) {
      mapper.take(whole);
    }
  }

 private:
  class Mapper : public PieceSink {
   public:
    Mapper(bool map, PieceSink& out) : map_(map), out_(out) {}
    void take(const Piece& piece) override {
      if (!map_) return out_.take(piece);
      const std::string mapped = bytes_to_alphabet(piece.text);
      out_.take({mapped, piece.first});
    }

   private:
    bool map_;
    PieceSink& out_;
  };

  bool add_prefix_space_;
  bool use_regex_;
  bool map_ = true;
};

Metaspace::Prepend read_prepend_scheme(const JsonFields& fields) {
  if (!fields.has("prepend_scheme")) {
    return fields.boolean("add_prefix_space", true) ? Metaspace::Prepend::always
                                                    : Metaspace::Prepend::never;
  }
  const std::string scheme = fields.text("prepend_scheme");
  if (scheme == "always") return Metaspace::Prepend::always;
  if (scheme == "first") return Metaspace::Prepend::first;
  if (scheme == "never") return Metaspace::Prepend::never;
  fields.fail("prepend_scheme", "always, first or never");
}

std::unique_ptr<PreTokenizer> make_metaspace(const JsonFields& fields) {
  return std::make_unique<Metaspace>(one_character(fields, "replacement"),
                                     read_prepend_scheme(fields), fields.boolean("split", true));
}

std::unique_ptr<PreTokenizer> make_one(const JsonFields& fields) {
  const std::string kind = fields.text("type");
  if (kind == "Split") {
    const std::string where = place(fields, "behavior");
    return std::make_unique<Split>(read_pattern(fields),
                                   read_split_behavior(fields.text("behavior"), where),
                                   fields.boolean("invert", false));
  }
  if (kind == "Digits") {
    const bool single = fields.boolean("individual_digits", false);
    return std::make_unique<CharSplit>(
        is_number, single ? SplitBehavior::isolated : SplitBehavior::contiguous);
  }
  if (kind == "Punctuation") {
    const std::string behavior = fields.text("behavior", "Isolated");
    return std::make_unique<CharSplit>(is_punctuation,
                                       read_split_behavior(behavior, place(fields, "behavior")));
  }
  if (kind == "WhitespaceSplit") {
    return std::make_unique<CharSplit>(is_white_space, SplitBehavior::removed);
  }
  if (kind == "Whitespace") return std::make_unique<Whitespace>();
  if (kind == "Metaspace") return make_metaspace(fields);
  throw_unknown_kind("pre-tokenizer", kind, fields.where(),
                     "ByteLevel, Digits, Metaspace, Punctuation, Sequence, Split, Whitespace, "
                     "WhitespaceSplit");
}

using Steps = std::span<const std::unique_ptr<PreTokenizer>>;

void cut_with(Steps steps, const Piece& piece, PieceSink& out) {
  struct Rest : PieceSink {
    Rest(Steps s, PieceSink& o) : steps(s), out(o) {}
    void take(const Piece& next) override { cut_with(steps, next, out); }
    Steps steps;
    PieceSink& out;
  };
  if (steps.empty()) return out.take(piece);
  if (steps.size() == 1) return steps.front()->cut(piece, out);
  Rest rest(steps.subspan(1), out);
  steps.front()->cut(piece, rest);
}

}  // namespace

void PreTokenization::cut(const Piece& piece, PieceSink& out) const {
  if (steps.empty() && piece.text.empty()) return;
  cut_with(steps, piece, out);
}

PreTokenization make_pre_tokenization(const nlohmann::json& json, const std::string& where) {
  PreTokenization result;
  if (json.is_null()) return result;
  const std::vector<PlacedJson> items = flatten_sequence(json, where, "pretokenizers");
  for (std::size_t i = 0; i < items.size(); ++i) {
    const JsonFields fields(*items[i].value, items[i].where);
    if (fields.text("type") != "ByteLevel") {
      result.steps.push_back(make_one(fields));
      continue;
    }
    auto step = std::make_unique<ByteLevel>(fields.boolean("add_prefix_space"),
                                            fields.boolean("use_regex", true));
    if (i + 1 == items.size()) {
      result.byte_level = true;
      step->leave_bytes();
    }
    if (!step->does_nothing()) result.steps.push_back(std::move(step));
  }
  return result;
}

std::unique_ptr<PreTokenizer> make_metaspace_cutter() {
  return std::make_unique<MetaspaceCutter>();
}

}  // namespace switchyard::tokenizer
