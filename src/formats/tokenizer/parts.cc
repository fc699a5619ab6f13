#include "formats/tokenizer/parts.h"

#include <utility>

#include "switchyard/error.h"

#include "formats/utf8.h"

namespace switchyard::tokenizer {
namespace {

constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;

void check_text(std::string_view text) {
  if (text.size() > kMaxTextBytes) {
    throw Error({.what = "the text has " + std::to_string(text.size()) + " bytes",
                 .where = "text to encode",
                 .expected = "at most " + std::to_string(kMaxTextBytes),
                 .fix = "encode it in parts"});
  }
  const std::size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string_view::npos) {
    throw Error({.what = "the text is not UTF-8 at byte " + std::to_string(invalid),
                 .where = "text to encode",
                 .expected = "well-formed UTF-8",
                 .fix = "convert the text, for example with iconv"});
  }
}

// The model as the place where pieces end up.
class ModelSink : public PieceSink {
 public:
  ModelSink(const Bpe& bpe, BpeScratch& scratch, std::vector<TokenId>& out)
      : bpe_(bpe), scratch_(scratch), out_(out) {}
  void take(const Piece& piece) override { bpe_.encode(piece.text, scratch_, out_); }

 private:
  const Bpe& bpe_;
  BpeScratch& scratch_;
  std::vector<TokenId>& out_;
};

}  // namespace

ScratchPool::Lease::Lease(ScratchPool& pool) : pool_(pool) {
  {
    const std::lock_guard lock(pool_.mutex_);
    if (!pool_.idle_.empty()) {
      scratch_ = std::move(pool_.idle_.back());
      pool_.idle_.pop_back();
    }
  }
  if (!scratch_) scratch_ = std::make_unique<BpeScratch>();
}

ScratchPool::Lease::~Lease() {
  const std::lock_guard lock(pool_.mutex_);
  pool_.idle_.push_back(std::move(scratch_));
}

void Parts::encode(std::string_view text, const EncodeOptions& options,
                   std::vector<TokenId>& out) const {
  check_text(text);
  const ScratchPool::Lease lease(scratches);
  ModelSink model(*bpe, *lease, out);
  const bool specials = options.parse_special_tokens;

  const auto encode_between = [&](std::string_view part, bool first) {
    const std::string rewritten = normalizer ? normalizer->apply(part) : std::string();
    const std::string_view normalized = normalizer ? std::string_view(rewritten) : part;
    normalized_matcher->split(
        normalized, specials, [&](TokenId id, std::size_t begin, std::size_t end) {
          if (id >= 0) {
            out.push_back(id);
          } else {
            pre_tokenization.cut({normalized.substr(begin, end - begin), first && begin == 0},
                                 model);
          }
        });
  };

  if (options.add_special_tokens) {
    out.insert(out.end(), post_processor.before.begin(), post_processor.before.end());
  }
  raw_matcher->split(text, specials, [&](TokenId id, std::size_t begin, std::size_t end) {
    if (id >= 0) {
      out.push_back(id);
    } else {
      encode_between(text.substr(begin, end - begin), begin == 0);
    }
  });
  if (options.add_special_tokens) {
    out.insert(out.end(), post_processor.after.begin(), post_processor.after.end());
  }
}

void Parts::decode_into(Decoding& decoding, TokenId id, const DecodeOptions& options) const {
  if (id < 0) {
    throw Error({.what = "the token id " + std::to_string(id) + " is negative",
                 .where = "tokens to decode",
                 .expected = "ids from 0"});
  }
  const std::string* text = vocabulary.text(id);
  if (text == nullptr || (options.skip_special_tokens && is_special(id))) return;
  decoding.push(*text, only_added[static_cast<std::size_t>(id)]);
}

}  // namespace switchyard::tokenizer
