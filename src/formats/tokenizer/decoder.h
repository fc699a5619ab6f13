// The "decoder" of a tokenizer.json: token texts back to text, one token at a time.
//
// Every kind is written as a stage that hands on what became certain, so that decoding a growing
// sequence and decoding a whole one are the same code. A stage holds text back only while a later
// token could still change it.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace switchyard::tokenizer {

// A part of one token's text. Stages see a token's parts in order, the last one marked.
struct TokenPart {
  std::string_view text;
  bool last = true;
  bool literal = false;  // an added token: its text is itself, in no byte alphabet
};

class DecodeStage {
 public:
  virtual ~DecodeStage() = default;
  virtual void push(const TokenPart& part) = 0;
  virtual void finish() = 0;  // no token follows
};

// One decoding and the text it has given so far. One thread at a time.
class Decoding {
 public:
  // Makes a stage that hands on to `next`.
  using StageMaker = std::function<std::unique_ptr<DecodeStage>(DecodeStage& next)>;
  explicit Decoding(const std::vector<StageMaker>& makers);

  void push(std::string_view token, bool literal) { first_->push({token, true, literal}); }
  void finish() { first_->finish(); }
  // The text that became certain since the last call.
  std::string take_text();

 private:
  class Collector : public DecodeStage {
   public:
    void push(const TokenPart& part) override { text += part.text; }
    void finish() override {}
    std::string text;
  };

  std::unique_ptr<Collector> collector_;
  std::vector<std::unique_ptr<DecodeStage>> stages_;
  DecodeStage* first_;
};

// What a file asks for, ready to start any number of decodings. Thread rule: const after
// construction.
class Decoder {
 public:
  // Kinds: ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Sequence, Strip. Null joins tokens
  // with spaces; any other kind is an Error that names it.
  Decoder(const nlohmann::json& json, const std::string& where);

  Decoding start() const { return Decoding(makers_); }

 private:
  std::vector<Decoding::StageMaker> makers_;
};

}  // namespace switchyard::tokenizer
