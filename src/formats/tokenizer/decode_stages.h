// The kinds of decoders, one stage each.
#pragma once

#include <memory>
#include <string>

#include "formats/tokenizer/decoder.h"
#include "formats/tokenizer/pattern.h"
#include "formats/utf8.h"

namespace switchyard::tokenizer {

// Base of stages that need a token's text as a whole.
class WholeTokenStage : public DecodeStage {
 public:
  explicit WholeTokenStage(DecodeStage& next) : next_(next) {}
  void push(const TokenPart& part) final;
  void finish() override { next_.finish(); }

 protected:
  virtual void token(std::string_view text, bool literal) = 0;
  DecodeStage& next_;

 private:
  std::string parts_;
};

// Characters of the byte alphabet back to bytes; all tokens become one text, its broken bytes
// U+FFFD.
class ByteLevelStage : public WholeTokenStage {
 public:
  using WholeTokenStage::WholeTokenStage;
  void finish() override;

 protected:
  void token(std::string_view text, bool literal) override;

 private:
  LossyUtf8 bytes_;
};

// "<0xE2>" back to its byte. A run of such tokens that is not well formed as a whole becomes one
// U+FFFD for each, as in Hugging Face tokenizers; so a run is certain only when it ends.
class ByteFallbackStage : public WholeTokenStage {
 public:
  using WholeTokenStage::WholeTokenStage;
  void finish() override;

 protected:
  void token(std::string_view text, bool literal) override;

 private:
  void flush();
  std::string run_;
};

// All tokens become one.
class FuseStage : public DecodeStage {
 public:
  explicit FuseStage(DecodeStage& next) : next_(next) {}
  void push(const TokenPart& part) override { next_.push({part.text, false, part.literal}); }
  void finish() override;

 private:
  DecodeStage& next_;
};

// The replacement character back to a space; those of the first token disappear where encoding put
// one there.
class MetaspaceStage : public WholeTokenStage {
 public:
  MetaspaceStage(DecodeStage& next, std::string replacement, bool drop_first);

 protected:
  void token(std::string_view text, bool literal) override;

 private:
  std::string replacement_;
  bool drop_;  // in this token
};

class ReplaceStage : public WholeTokenStage {
 public:
  ReplaceStage(DecodeStage& next, std::shared_ptr<const Pattern> pattern, std::string content);

 protected:
  void token(std::string_view text, bool literal) override;

 private:
  std::shared_ptr<const Pattern> pattern_;
  std::string content_;
};

// Takes up to `start` of one character off the beginning of each token and up to `stop` off its
// end.
class StripStage : public DecodeStage {
 public:
  StripStage(DecodeStage& next, std::string character, std::size_t start, std::size_t stop);
  void push(const TokenPart& part) override;
  void finish() override { next_.finish(); }

 private:
  void keep(std::string_view character, std::string& out);

  DecodeStage& next_;
  std::string character_;
  std::size_t start_;
  std::size_t stop_;
  bool at_beginning_ = true;  // nothing but stripped characters of this token so far
  std::size_t stripped_ = 0;
  std::size_t held_ =
      0;  // characters at the end so far that the end of the token would strip, at most stop_
};

// No decoder: a space between tokens.
class JoinStage : public DecodeStage {
 public:
  explicit JoinStage(DecodeStage& next) : next_(next) {}
  void push(const TokenPart& part) override;
  void finish() override { next_.finish(); }

 private:
  DecodeStage& next_;
  bool between_ = false;
};

}  // namespace switchyard::tokenizer
