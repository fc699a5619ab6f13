#include "formats/tokenizer/decoder.h"

#include <utility>

#include "switchyard/error.h"

#include "formats/tokenizer/decode_stages.h"
#include "formats/tokenizer/json_fields.h"

namespace switchyard::tokenizer {
namespace {

using StageMaker = Decoding::StageMaker;

template <typename Stage>
StageMaker plain() {
  return [](DecodeStage& next) { return std::make_unique<Stage>(next); };
}

// Longer runs than this are no layout; the bound keeps the count a size.
constexpr std::int64_t kMaxStripped = 1 << 20;

std::size_t count_of(const JsonFields& fields, const std::string& name) {
  return static_cast<std::size_t>(fields.integer(name, 0, kMaxStripped));
}

StageMaker make_metaspace(const JsonFields& fields) {
  const bool never = fields.text("prepend_scheme", "always") == "never" ||
                     !fields.boolean("add_prefix_space", true);
  return [replacement = one_character(fields, "replacement"), never](DecodeStage& next) {
    return std::make_unique<MetaspaceStage>(next, replacement, !never);
  };
}

StageMaker make_replace(const JsonFields& fields) {
  return [pattern = std::make_shared<const Pattern>(read_pattern(fields)),
          content = fields.text("content")](DecodeStage& next) {
    return std::make_unique<ReplaceStage>(next, pattern, content);
  };
}

StageMaker make_strip(const JsonFields& fields) {
  return [character = one_character(fields, "content"), start = count_of(fields, "start"),
          stop = count_of(fields, "stop")](DecodeStage& next) {
    return std::make_unique<StripStage>(next, character, start, stop);
  };
}

StageMaker make_one(const PlacedJson& item) {
  const JsonFields fields(*item.value, item.where);
  const std::string kind = fields.text("type");
  if (kind == "ByteLevel") return plain<ByteLevelStage>();
  if (kind == "ByteFallback") return plain<ByteFallbackStage>();
  if (kind == "Fuse") return plain<FuseStage>();
  if (kind == "Metaspace") return make_metaspace(fields);
  if (kind == "Replace") return make_replace(fields);
  if (kind == "Strip") return make_strip(fields);
  throw_unknown_kind("decoder", kind, item.where,
                     "ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Sequence, Strip");
}

}  // namespace

Decoding::Decoding(const std::vector<StageMaker>& makers)
    : collector_(std::make_unique<Collector>()), first_(collector_.get()) {
  for (auto maker = makers.rbegin(); maker != makers.rend(); ++maker) {
    stages_.push_back((*maker)(*first_));
    first_ = stages_.back().get();
  }
}

std::string Decoding::take_text() { return std::exchange(collector_->text, {}); }

Decoder::Decoder(const nlohmann::json& json, const std::string& where) {
  if (json.is_null()) {
    makers_.push_back(plain<JoinStage>());
    return;
  }
  for (const PlacedJson& item : flatten_sequence(json, where, "decoders")) {
    makers_.push_back(make_one(item));
  }
}

}  // namespace switchyard::tokenizer
