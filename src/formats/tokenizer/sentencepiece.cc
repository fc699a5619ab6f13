#include "formats/tokenizer/sentencepiece.h"

#include <array>
#include <unordered_map>
#include <utility>

#include "switchyard/error.h"

#include "formats/json.h"
#include "formats/tokenizer/json_fields.h"
#include "formats/tokenizer/protobuf.h"

namespace switchyard::tokenizer {
namespace {

using nlohmann::json;

// Fields of the messages, as sentencepiece_model.proto numbers them.
namespace model_field {
constexpr std::uint32_t kPieces = 1, kTrainer = 2, kNormalizer = 3;
}
namespace piece_field {
constexpr std::uint32_t kText = 1, kScore = 2, kType = 3;
}
namespace trainer_field {
constexpr std::uint32_t kModelType = 3, kSpaceAsSuffix = 24, kByteFallback = 35, kUnknown = 40,
                        kBos = 41;
}
namespace normalizer_field {
constexpr std::uint32_t kName = 1, kCharacterMap = 2, kDummyPrefix = 3, kRemoveExtra = 4,
                        kEscape = 5;
}

constexpr std::array kModelTypes = {"", "Unigram", "BPE", "Word", "Char"};
constexpr std::int32_t kBpe = 2;

// What the trainer's message says; the defaults are the format's.
struct Trainer {
  std::int32_t model_type = 1;
  bool space_as_suffix = false;
  bool byte_fallback = false;
  std::int32_t unknown = 0;
  std::int32_t bos = 1;
};

ScoredPiece read_piece(std::string_view bytes, const std::string& where) {
  ScoredPiece piece;
  ProtobufReader reader(bytes, where);
  while (reader.next()) {
    switch (reader.field()) {
      case piece_field::kText:
        piece.text = reader.bytes();
        break;
      case piece_field::kScore:
        piece.score = reader.real();
        break;
      case piece_field::kType: {
        const std::int32_t type = reader.integer();
        if (type < 1 || type > 6) {
          throw Error({.what = "token " + shown(piece.text) + " is of type " + std::to_string(type),
                       .where = where,
                       .expected = "1 to 6"});
        }
        piece.type = static_cast<PieceType>(type);
        break;
      }
      default:
        break;
    }
  }
  return piece;
}

Trainer read_trainer(std::string_view bytes, const std::string& where) {
  Trainer trainer;
  ProtobufReader reader(bytes, where);
  while (reader.next()) {
    switch (reader.field()) {
      case trainer_field::kModelType:
        trainer.model_type = reader.integer();
        break;
      case trainer_field::kSpaceAsSuffix:
        trainer.space_as_suffix = reader.boolean();
        break;
      case trainer_field::kByteFallback:
        trainer.byte_fallback = reader.boolean();
        break;
      case trainer_field::kUnknown:
        trainer.unknown = reader.integer();
        break;
      case trainer_field::kBos:
        trainer.bos = reader.integer();
        break;
      default:
        break;
    }
  }
  return trainer;
}

void read_normalizer(std::string_view bytes, const std::string& where, ScoredPieces& out) {
  std::string name;
  bool has_map = false;
  ProtobufReader reader(bytes, where);
  while (reader.next()) {
    switch (reader.field()) {
      case normalizer_field::kName:
        name = reader.bytes();
        break;
      case normalizer_field::kCharacterMap:
        has_map = !reader.bytes().empty();
        break;
      case normalizer_field::kDummyPrefix:
        out.add_dummy_prefix = reader.boolean();
        break;
      case normalizer_field::kRemoveExtra:
        out.remove_extra_whitespaces = reader.boolean();
        break;
      case normalizer_field::kEscape:
        out.escape_whitespaces = reader.boolean();
        break;
      default:
        break;
    }
  }
  if (has_map) {
    throw Error({.what = "the normalisation " + shown(name) + " rewrites characters by a table",
                 .where = where,
                 .expected = "identity, as Llama 2 and Mixtral have it",
                 .fix = "use the tokenizer.json of the model"});
  }
}

void check_trainer(const Trainer& trainer, const std::string& where) {
  if (trainer.model_type != kBpe) {
    const auto type = static_cast<std::size_t>(trainer.model_type);
    const bool known = trainer.model_type > 0 && type < kModelTypes.size();
    throw Error({.what = "a SentencePiece model of type " +
                         (known ? kModelTypes[type] : std::to_string(trainer.model_type)) +
                         " is not supported",
                 .where = where,
                 .expected = "BPE",
                 .fix = "use the tokenizer.json of the model if that is BPE"});
  }
  if (trainer.space_as_suffix) {
    throw Error({.what = "spaces that end a word instead of beginning it are not supported",
                 .where = where,
                 .expected = "treat_whitespace_as_suffix false"});
  }
}

// An id of the trainer's message; -1 stands for none.
std::optional<TokenId> optional_id(std::int32_t id, const std::vector<ScoredPiece>& pieces) {
  const bool there = id >= 0 && static_cast<std::size_t>(id) < pieces.size();
  return there ? std::optional<TokenId>(id) : std::nullopt;
}

// The list "added_tokens" of a file while tokens are added to it.
class AddedList {
 public:
  explicit AddedList(json& file) : list_(file["added_tokens"]) {
    for (std::size_t i = 0; i < list_.size(); ++i) places_[list_[i]["id"].get<TokenId>()] = i;
  }

  // In place of one that has the same id.
  void put(TokenId id, json token) {
    token["id"] = id;
    const auto [entry, is_new] = places_.emplace(id, list_.size());
    if (is_new) {
      list_.push_back(std::move(token));
    } else {
      list_[entry->second] = std::move(token);
    }
  }

 private:
  json& list_;
  std::unordered_map<TokenId, std::size_t> places_;
};

// "<s>" or {"content": "<s>", ...}; nullopt if the field is absent.
std::optional<NamedToken> named_token(const json& file, const JsonFields& config,
                                      const std::string& name) {
  const json* value = config.get(name);
  if (value == nullptr) return std::nullopt;
  const std::string text = value->is_string()
                               ? value->get<std::string>()
                               : JsonFields(*value, place(config, name)).text("content");
  const json& vocabulary = file["model"]["vocab"];
  if (const auto id = vocabulary.find(text); id != vocabulary.end()) {
    return NamedToken{text, id->get<TokenId>()};
  }
  for (const json& added : file["added_tokens"]) {
    if (added["content"] == text) return NamedToken{text, added["id"].get<TokenId>()};
  }
  config.fail(name, "a token of tokenizer.model or added_tokens_decoder");
}

// Keys of added_tokens_decoder: digits only, so that the number is what the key says.
TokenId id_of_key(const std::string& key, const JsonFields& config) {
  constexpr std::size_t kMaxDigits = 9;
  if (!key.empty() && key.size() <= kMaxDigits &&
      key.find_first_not_of("0123456789") == std::string::npos) {
    const int id = std::stoi(key);
    if (id <= kMaxTokenId) return id;
  }
  config.fail("added_tokens_decoder", "ids from 0 to " + std::to_string(kMaxTokenId) + " as keys");
}

}  // namespace

ScoredPieces read_sentencepiece(std::string_view bytes, const std::string& where) {
  ScoredPieces out;
  out.remove_extra_whitespaces = true;  // the format's default
  Trainer trainer;
  ProtobufReader reader(bytes, where);
  while (reader.next()) {
    switch (reader.field()) {
      case model_field::kPieces:
        if (out.pieces.size() > static_cast<std::size_t>(kMaxTokenId)) {
          throw Error({.what = "the model has more than " + std::to_string(kMaxTokenId) + " tokens",
                       .where = where});
        }
        out.pieces.push_back(
            read_piece(reader.bytes(), where + ": piece " + std::to_string(out.pieces.size())));
        break;
      case model_field::kTrainer:
        trainer = read_trainer(reader.bytes(), where + ": trainer_spec");
        break;
      case model_field::kNormalizer:
        read_normalizer(reader.bytes(), where + ": normalizer_spec", out);
        break;
      default:
        break;
    }
  }
  if (out.pieces.empty()) {
    throw Error({.what = "the file holds no tokens",
                 .where = where,
                 .expected = "a SentencePiece model",
                 .fix = "download the file again"});
  }
  check_trainer(trainer, where + ": trainer_spec");
  out.byte_fallback = trainer.byte_fallback;
  out.unknown = optional_id(trainer.unknown, out.pieces);
  // As Llama's tokenizers do unless their configuration says otherwise.
  out.bos = optional_id(trainer.bos, out.pieces);
  return out;
}

void apply_added_tokens(json& file, const json& added, const std::string& where) {
  if (!added.is_object()) {
    throw Error({.what = std::string("found a JSON ") + added.type_name(),
                 .where = where,
                 .expected = "an object of tokens and their ids"});
  }
  const JsonFields fields(added, where);
  AddedList list(file);
  for (const auto& [text, value] : added.items()) {
    const auto id = static_cast<TokenId>(fields.integer(text, 0, kMaxTokenId));
    list.put(id, {{"content", text}, {"special", false}, {"normalized", false}});
  }
}

void apply_tokenizer_config(json& file, const json& config, const std::string& where) {
  const JsonFields fields(config, where);
  if (const json* added = fields.get("added_tokens_decoder"); added != nullptr) {
    if (!added->is_object()) fields.fail("added_tokens_decoder", "an object of ids and tokens");
    AddedList list(file);
    for (const auto& [key, value] : added->items()) {
      const TokenId id = id_of_key(key, fields);
      const JsonFields token(value, place(fields, "added_tokens_decoder") + "." + key);
      list.put(id, {{"content", token.text("content")},
                    {"special", token.boolean("special", false)},
                    {"normalized", token.boolean("normalized", false)},
                    {"single_word", token.boolean("single_word", false)},
                    {"lstrip", token.boolean("lstrip", false)},
                    {"rstrip", token.boolean("rstrip", false)}});
    }
  }
  const auto bos = named_token(file, fields, "bos_token");
  const auto eos = named_token(file, fields, "eos_token");
  const bool add_bos = fields.boolean("add_bos_token", true);
  const bool add_eos = fields.boolean("add_eos_token", false);
  if (add_eos && !eos) fields.fail("eos_token", "a token, since add_eos_token is true");
  // Without a name for it, the token of the model itself stays.
  if (bos || !add_bos || add_eos) {
    file["post_processor"] =
        bos_eos_processor(add_bos ? bos : std::nullopt, add_eos ? eos : std::nullopt);
  }
}

}  // namespace switchyard::tokenizer
