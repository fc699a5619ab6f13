#include "switchyard/tokenizer.h"

#include <utility>

#include "switchyard/error.h"
#include "switchyard/gguf.h"
#include "switchyard/model_files.h"

#include "formats/gguf/tokenizer_keys.h"
#include "formats/json.h"
#include "formats/tokenizer/gguf_tokenizer_writer.h"
#include "formats/tokenizer/parts.h"
#include "formats/tokenizer/sentencepiece.h"

namespace switchyard {
namespace {

// The largest real file (a vocabulary of 262144) has 33 MB.
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{512} << 20;

nlohmann::json parse_file(FileSystem& fs, const std::string& path) {
  return parse_json(read_file(fs, path, kMaxFileBytes), path);
}

std::string in_directory(const std::string& directory, const std::string& name) {
  return directory.ends_with('/') ? directory + name : directory + "/" + name;
}

// A tokenizer.model with what lies beside it.
std::unique_ptr<const tokenizer::Parts> load_sentencepiece(FileSystem& fs,
                                                           const std::string& path) {
  const std::string directory = path.substr(0, path.rfind('/') + 1);  // with its '/', or empty
  nlohmann::json file = tokenizer::from_scored_pieces(
      tokenizer::read_sentencepiece(read_file(fs, path, kMaxFileBytes), path), path);
  if (const std::string added = directory + "added_tokens.json"; fs.exists(added)) {
    tokenizer::apply_added_tokens(file, parse_file(fs, added), added);
  }
  if (const std::string config = directory + "tokenizer_config.json"; fs.exists(config)) {
    tokenizer::apply_tokenizer_config(file, parse_file(fs, config), config);
  }
  return tokenizer::build_parts(file, path);
}

std::unique_ptr<const tokenizer::Parts> load_directory(FileSystem& fs,
                                                       const std::string& directory) {
  const auto at = [&](const std::string& name) { return in_directory(directory, name); };
  if (fs.exists(at("tokenizer.json"))) {
    return tokenizer::build_parts(parse_file(fs, at("tokenizer.json")), at("tokenizer.json"));
  }
  if (fs.exists(at("tokenizer.model"))) return load_sentencepiece(fs, at("tokenizer.model"));
  for (const auto& [vocabulary, merges] :
       {std::pair("encoder.json", "vocab.bpe"), std::pair("vocab.json", "merges.txt")}) {
    if (!fs.exists(at(vocabulary)) || !fs.exists(at(merges))) continue;
    const nlohmann::json json =
        tokenizer::from_gpt2_files(read_file(fs, at(vocabulary), kMaxFileBytes),
                                   read_file(fs, at(merges), kMaxFileBytes), at(vocabulary));
    return tokenizer::build_parts(json, directory);
  }
  throw Error(
      {.what = "the directory holds no tokenizer",
       .where = directory,
       .expected =
           "tokenizer.json, tokenizer.model, encoder.json with vocab.bpe, or vocab.json with "
           "merges.txt",
       .fix = "copy the tokenizer.json of the model there"});
}

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<const tokenizer::Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::load(FileSystem& fs, const std::string& path) {
  if (fs.is_directory(path)) return Tokenizer(load_directory(fs, path));
  if (is_gguf(fs, path)) {
    return from_gguf(gguf_vocabulary(GgufReader(fs, path).metadata()), path);
  }
  if (path.ends_with(".model")) return Tokenizer(load_sentencepiece(fs, path));
  return from_json(parse_file(fs, path), path);
}

bool Tokenizer::exists(FileSystem& fs, const std::string& directory) {
  const auto has = [&](const char* name) { return fs.exists(in_directory(directory, name)); };
  return has("tokenizer.json") || has("tokenizer.model") ||
         (has("encoder.json") && has("vocab.bpe")) || (has("vocab.json") && has("merges.txt"));
}

Tokenizer Tokenizer::from_json(const nlohmann::json& json, const std::string& where) {
  return Tokenizer(tokenizer::build_parts(json, where));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text,
                                            const EncodeOptions& options) const {
  std::vector<std::int32_t> ids;
  parts_->encode(text, options, ids);
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids,
                              const DecodeOptions& options) const {
  tokenizer::Decoding decoding = parts_->decoder->start();
  for (const std::int32_t id : ids) parts_->decode_into(decoding, id, options);
  decoding.finish();
  return decoding.take_text();
}

std::size_t Tokenizer::vocab_size() const { return parts_->vocabulary.size(); }

std::optional<std::string> Tokenizer::token(std::int32_t id) const {
  const std::string* text = parts_->vocabulary.text(id);
  return text == nullptr ? std::nullopt : std::optional(*text);
}

std::optional<std::int32_t> Tokenizer::id(std::string_view token) const {
  return parts_->vocabulary.find(token);
}

bool Tokenizer::is_special(std::int32_t id) const { return parts_->is_special(id); }

GgufVocabulary Tokenizer::to_gguf(std::size_t vocab) const {
  const std::string where = "tokenizer";
  return tokenizer::to_gguf(parse_json(tokenizer::to_json_text(*parts_), where), vocab, where);
}

void Tokenizer::save(FileSystem& fs, const std::string& path) const {
  write_file_atomically(fs, path, tokenizer::to_json_text(*parts_));
}

struct StreamDecoder::State {
  const tokenizer::Parts& parts;
  DecodeOptions options;
  tokenizer::Decoding decoding;
};

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, DecodeOptions options)
    : state_(std::make_unique<State>(
          State{*tokenizer.parts_, options, tokenizer.parts_->decoder->start()})) {}
StreamDecoder::StreamDecoder(StreamDecoder&&) noexcept = default;
StreamDecoder& StreamDecoder::operator=(StreamDecoder&&) noexcept = default;
StreamDecoder::~StreamDecoder() = default;

std::string StreamDecoder::push(std::int32_t id) {
  state_->parts.decode_into(state_->decoding, id, state_->options);
  return state_->decoding.take_text();
}

std::string StreamDecoder::finish() {
  state_->decoding.finish();
  std::string text = state_->decoding.take_text();
  state_->decoding = state_->parts.decoder->start();
  return text;
}

}  // namespace switchyard
