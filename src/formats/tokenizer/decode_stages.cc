#include "formats/tokenizer/decode_stages.h"

#include <optional>
#include <utility>

#include "formats/tokenizer/byte_alphabet.h"

namespace switchyard::tokenizer {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  return std::nullopt;
}

// The byte that "<0x0A>" names.
std::optional<char> named_byte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  const auto high = hex_digit(token[3]);
  const auto low = hex_digit(token[4]);
  if (!high || !low) return std::nullopt;
  return static_cast<char>(*high << 4 | *low);
}

}  // namespace

void WholeTokenStage::push(const TokenPart& part) {
  if (part.last && parts_.empty()) return token(part.text, part.literal);
  parts_ += part.text;
  if (!part.last) return;
  token(parts_, part.literal);
  parts_.clear();
}

void ByteLevelStage::token(std::string_view text, bool literal) {
  std::string out;
  const auto bytes = literal ? std::nullopt : alphabet_to_bytes(text);
  bytes_.push(bytes ? std::string_view(*bytes) : text, out);
  if (!out.empty()) next_.push({out, false, true});
}

void ByteLevelStage::finish() {
  std::string out;
  bytes_.finish(out);
  next_.push({out, true, true});
  next_.finish();
}

void ByteFallbackStage::token(std::string_view text, bool literal) {
  if (const auto byte = named_byte(text)) {
    run_ += *byte;
    return;
  }
  flush();
  next_.push({text, true, literal});
}

void ByteFallbackStage::flush() {
  if (run_.empty()) return;
  if (find_invalid_utf8(run_) == std::string_view::npos) {
    next_.push({run_, true, true});
  } else {
    for (std::size_t i = 0; i < run_.size(); ++i) next_.push({kReplacement, true, true});
  }
  run_.clear();
}

void ByteFallbackStage::finish() {
  flush();
  next_.finish();
}

void FuseStage::finish() {
  next_.push({"", true, false});
  next_.finish();
}

MetaspaceStage::MetaspaceStage(DecodeStage& next, std::string replacement, bool drop_first)
    : WholeTokenStage(next), replacement_(std::move(replacement)), drop_(drop_first) {}

void MetaspaceStage::token(std::string_view text, bool literal) {
  std::string out;
  std::size_t copied = 0;
  for (std::size_t i = text.find(replacement_); i != std::string_view::npos;
       i = text.find(replacement_, copied)) {
    out += text.substr(copied, i - copied);
    if (!drop_) out += ' ';
    copied = i + replacement_.size();
  }
  out += text.substr(copied);
  drop_ = false;
  next_.push({out, true, literal});
}

ReplaceStage::ReplaceStage(DecodeStage& next, std::shared_ptr<const Pattern> pattern,
                           std::string content)
    : WholeTokenStage(next), pattern_(std::move(pattern)), content_(std::move(content)) {}

void ReplaceStage::token(std::string_view text, bool literal) {
  next_.push({replace_all(*pattern_, content_, text), true, literal});
}

StripStage::StripStage(DecodeStage& next, std::string character, std::size_t start,
                       std::size_t stop)
    : next_(next), character_(std::move(character)), start_(start), stop_(stop) {}

void StripStage::push(const TokenPart& part) {
  std::string out;
  std::size_t i = 0;
  while (at_beginning_ && i < part.text.size()) {
    if (stripped_ < start_ && part.text.substr(i).starts_with(character_)) {
      ++stripped_;
      i += character_.size();
    } else {
      at_beginning_ = false;
    }
  }
  if (stop_ == 0) {
    out = part.text.substr(i);
  } else {
    while (i < part.text.size()) {
      const std::size_t length = utf8_length(part.text[i]);
      keep(part.text.substr(i, length), out);
      i += length;
    }
  }
  if (part.last) {
    at_beginning_ = true;
    stripped_ = 0;
    held_ = 0;
  }
  if (part.last || !out.empty()) next_.push({out, part.last, part.literal});
}

void StripStage::keep(std::string_view character, std::string& out) {
  if (character == character_) {
    if (held_ == stop_) {
      out += character_;
    } else {
      ++held_;
    }
    return;
  }
  for (; held_ > 0; --held_) out += character_;
  out += character;
}

void JoinStage::push(const TokenPart& part) {
  if (between_) next_.push({" ", false, true});
  next_.push(part);
  between_ = part.last;
}

}  // namespace switchyard::tokenizer
