#include "train/corpus.h"

#include <algorithm>
#include <fmt/format.h>
#include <xxhash.h>

#include "switchyard/error.h"

#include "train/text_source.h"

namespace switchyard::train {
namespace {

constexpr std::uint64_t kCacheVersion = 1;  // raise when tokenised text would come out differently
constexpr const char* kEndOfText = "<|endoftext|>";

using Documents = std::vector<std::string>;
using Say = std::function<void(const std::string&)>;

// Hashes lengths too, so that moving text from one document to the next changes the key.
class Key {
 public:
  Key() { add(kCacheVersion); }
  Key& add(std::uint64_t value) {
    hash_ = XXH3_64bits_withSeed(&value, sizeof(value), hash_);
    return *this;
  }
  Key& add(const std::string& text) {
    add(text.size());
    hash_ = XXH3_64bits_withSeed(text.data(), text.size(), hash_);
    return *this;
  }
  Key& add(const Documents& documents) {
    for (const std::string& document : documents) add(document);
    return *this;
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0;
};

// Takes the last documents out of `train`; a single document is cut at a line end.
Documents hold_out(Documents& train, double share) {
  if (train.size() == 1) {
    std::string& text = train.front();
    const auto want = static_cast<std::size_t>(static_cast<double>(text.size()) * (1.0 - share));
    const std::size_t line_end = text.find('\n', want);
    const std::size_t cut = line_end == std::string::npos ? want : line_end + 1;
    Documents held = {text.substr(cut)};
    text.resize(cut);
    return held;
  }
  const auto keep = static_cast<std::size_t>(static_cast<double>(train.size()) * (1.0 - share));
  Documents held(std::make_move_iterator(train.begin() + static_cast<std::ptrdiff_t>(keep)),
                 std::make_move_iterator(train.end()));
  train.resize(keep);
  return held;
}

Documents limited(Documents documents, std::int64_t limit) {
  if (limit == 0) return documents;
  auto left = static_cast<std::size_t>(limit);
  for (std::size_t i = 0; i < documents.size(); ++i) {
    if (documents[i].size() >= left) {
      // Not inside a UTF-8 character.
      while (left > 0 && left < documents[i].size() && (documents[i][left] & 0xC0) == 0x80) --left;
      documents[i].resize(left);
      documents.resize(left == 0 ? i : i + 1);
      break;
    }
    left -= documents[i].size();
  }
  return documents;
}

Tokenizer tokenizer_for(FileSystem& fs, const DataRecipe& recipe, const Documents& train,
                        const std::string& cache, const Say& say) {
  if (recipe.tokenizer == kByteTokenizer) {
    // A vocabulary without room for merges, so the text does not matter.
    return train_byte_level_bpe(
        {},
        {.vocab = kByteVocab, .min_frequency = 1, .special_tokens = {kEndOfText}, .progress = {}});
  }
  if (!recipe.tokenizer.empty()) return Tokenizer::load(fs, recipe.tokenizer);
  const std::uint64_t key = Key().add(static_cast<std::uint64_t>(recipe.vocab)).add(train).value();
  const std::string path = fmt::format("{}/tokenizer-{:016x}.json", cache, key);
  if (fs.exists(path)) return Tokenizer::load(fs, path);
  say(fmt::format("training a byte-level BPE tokenizer with {} entries", recipe.vocab));
  Tokenizer tokenizer =
      train_byte_level_bpe(train, {.vocab = static_cast<std::size_t>(recipe.vocab),
                                   .min_frequency = 2,
                                   .special_tokens = {kEndOfText},
                                   .progress = {}});
  tokenizer.save(fs, path);
  return tokenizer;
}

std::optional<std::int32_t> find_end_of_text(const Tokenizer& tokenizer, const DataRecipe& recipe) {
  for (const std::string& name : {recipe.separator, std::string(kEndOfText), std::string("</s>")}) {
    if (name.empty()) continue;
    if (const auto id = tokenizer.id(name); id && tokenizer.is_special(*id)) return id;
  }
  if (recipe.separator.empty()) return std::nullopt;
  throw Error({.what = "the tokenizer has no end-of-text token to put between documents",
               .where = "[data] tokenizer",
               .expected = fmt::format("a special token '{}', '{}' or '</s>'", recipe.separator,
                                       kEndOfText),
               .fix = "use another tokenizer, or leave separator empty"});
}

struct TokenisedText {
  FileSystem& fs;
  const Tokenizer& tokenizer;
  std::uint64_t tokenizer_key;
  std::optional<std::int32_t> end_of_text;  // put after each document if set
  const std::string& cache;
  const Say& say;

  TokenFile open(const char* what, const Documents& documents) const {
    const std::uint64_t key =
        Key()
            .add(tokenizer_key)
            .add(end_of_text ? static_cast<std::uint64_t>(*end_of_text) + 1 : 0)
            .add(documents)
            .value();
    const std::string path = fmt::format("{}/{}-{:016x}.tokens", cache, what, key);
    const int vocab = static_cast<int>(tokenizer.vocab_size());
    if (!fs.exists(path)) {
      say(fmt::format("tokenising the {} text", what));
      std::vector<std::int32_t> ids;
      TextCounts counts;
      for (const std::string& document : documents) {
        const auto more = tokenizer.encode(
            document, {.add_special_tokens = false, .parse_special_tokens = false});
        ids.insert(ids.end(), more.begin(), more.end());
        if (end_of_text) ids.push_back(*end_of_text);
        count_text(document, counts);
        ++counts.documents;
      }
      write_token_file(fs, path, ids, vocab, counts, key);
    }
    return TokenFile(fs, path, vocab, key);
  }
};

}  // namespace

Corpus load_corpus(FileSystem& fs, const DataRecipe& recipe, const std::string& cache_directory,
                   const Say& say) {
  const std::string cache = recipe.cache.empty() ? cache_directory : recipe.cache;
  fs.create_directories(cache);
  Documents train = read_documents(fs, recipe.train, recipe);
  Documents valid = recipe.valid.empty() ? hold_out(train, recipe.valid_share)
                                         : read_documents(fs, recipe.valid, recipe);
  train = limited(std::move(train), recipe.limit_bytes);
  valid = limited(std::move(valid), recipe.limit_test_bytes);
  if (train.empty() || valid.empty()) {
    throw Error(
        {.what = train.empty() ? "there is no training text" : "there is no validation text",
         .where = train.empty() ? "[data] train" : "[data] valid",
         .expected = "at least one document that is not blank",
         .fix = valid.empty() ? "name a file under valid, or raise valid_share" : ""});
  }

  Tokenizer tokenizer = tokenizer_for(fs, recipe, train, cache, say);
  // The key of the tokenizer is the hash of the file it saves as, whatever it was loaded from.
  const std::string resolved = cache + "/tokenizer.json";
  tokenizer.save(fs, resolved);
  const std::uint64_t tokenizer_key = Key().add(read_file(fs, resolved)).value();

  const auto end_of_text = find_end_of_text(tokenizer, recipe);
  const TokenisedText text = {.fs = fs,
                              .tokenizer = tokenizer,
                              .tokenizer_key = tokenizer_key,
                              .end_of_text = recipe.separator.empty() ? std::nullopt : end_of_text,
                              .cache = cache,
                              .say = say};
  TokenFile train_tokens = text.open("train", train);
  TokenFile valid_tokens = text.open("valid", valid);
  std::optional<TokenFile> test_tokens;
  if (!recipe.test.empty())
    test_tokens = text.open(
        "test", limited(read_documents(fs, recipe.test, recipe), recipe.limit_test_bytes));
  return {.tokenizer = std::move(tokenizer),
          .end_of_text = end_of_text,
          .train = std::move(train_tokens),
          .valid = std::move(valid_tokens),
          .test = std::move(test_tokens)};
}

}  // namespace switchyard::train
