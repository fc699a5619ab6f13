#include "formats/tokenizer/normalizer.h"

#include <utility>
#include <vector>

#include "formats/tokenizer/json_fields.h"
#include "formats/tokenizer/pattern.h"
#include "formats/tokenizer/unicode.h"
#include "formats/utf8.h"

namespace switchyard::tokenizer {
namespace {

// A function of the text without settings.
class Mapped : public Normalizer {
 public:
  using Function = std::string (*)(std::string_view);
  explicit Mapped(Function function) : function_(function) {}
  std::string apply(std::string_view text) const override { return function_(text); }

 private:
  Function function_;
};

template <NormalForm form>
std::string in_form(std::string_view text) {
  return normal_form(text, form);
}

class Prepend : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  std::string apply(std::string_view text) const override {
    return text.empty() ? std::string() : prefix_ + std::string(text);
  }

 private:
  std::string prefix_;
};

class Replace : public Normalizer {
 public:
  Replace(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  std::string apply(std::string_view text) const override {
    return replace_all(pattern_, content_, text);
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class Strip : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}

  std::string apply(std::string_view text) const override {
    std::size_t begin = 0;
    while (left_ && begin < text.size()) {
      std::size_t next = begin;
      if (!is_white_space(next_char(text, next))) break;
      begin = next;
    }
    std::size_t end = text.size();
    while (right_ && end > begin) {
      const std::size_t last = previous_char_start(text, end);
      std::size_t next = last;
      if (!is_white_space(next_char(text, next))) break;
      end = last;
    }
    return std::string(text.substr(begin, end - begin));
  }

 private:
  bool left_;
  bool right_;
};

class Sequence : public Normalizer {
 public:
  explicit Sequence(std::vector<std::unique_ptr<Normalizer>> steps) : steps_(std::move(steps)) {}
  std::string apply(std::string_view text) const override {
    std::string out(text);
    for (const auto& step : steps_) out = step->apply(out);
    return out;
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> steps_;
};

std::unique_ptr<Normalizer> make_one(const PlacedJson& item) {
  const JsonFields fields(*item.value, item.where);
  const std::string kind = fields.text("type");
  const auto mapped = [](Mapped::Function function) { return std::make_unique<Mapped>(function); };
  if (kind == "NFC") return mapped(in_form<NormalForm::nfc>);
  if (kind == "NFD") return mapped(in_form<NormalForm::nfd>);
  if (kind == "NFKC") return mapped(in_form<NormalForm::nfkc>);
  if (kind == "NFKD") return mapped(in_form<NormalForm::nfkd>);
  if (kind == "Lowercase") return mapped(lower_case);
  if (kind == "StripAccents") return mapped(strip_accents);
  if (kind == "Prepend") return std::make_unique<Prepend>(fields.text("prepend"));
  if (kind == "Replace") {
    return std::make_unique<Replace>(read_pattern(fields), fields.text("content"));
  }
  if (kind == "Strip") {
    return std::make_unique<Strip>(fields.boolean("strip_left"), fields.boolean("strip_right"));
  }
  throw_unknown_kind(
      "normalizer", kind, item.where,
      "NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, Strip, StripAccents, Sequence");
}

}  // namespace

std::unique_ptr<Normalizer> make_normalizer(const nlohmann::json& json, const std::string& where) {
  if (json.is_null()) return nullptr;
  std::vector<std::unique_ptr<Normalizer>> steps;
  for (const PlacedJson& item : flatten_sequence(json, where, "normalizers")) {
    steps.push_back(make_one(item));
  }
  if (steps.empty()) return nullptr;
  if (steps.size() == 1) return std::move(steps.front());
  return std::make_unique<Sequence>(std::move(steps));
}

}  // namespace switchyard::tokenizer
