// Texts and tokenizer of a recipe, ready to train on. Tokenised text is kept in a cache directory
// under names made of a hash of the text, the tokenizer and what cuts documents, so that it is made
// once and never goes stale.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "switchyard/file_system.h"
#include "switchyard/tokenizer.h"

#include "train/recipe.h"
#include "train/token_file.h"

namespace switchyard::train {

struct Corpus {
  Tokenizer tokenizer;
  std::optional<std::int32_t>
      end_of_text;  // put after each document, and the model's end-of-text token
  TokenFile train;
  TokenFile valid;
  std::optional<TokenFile> test;

  int vocab() const { return static_cast<int>(tokenizer.vocab_size()); }
};

// `say` is told what takes time ("training a tokenizer ...", "tokenising ..."). Throws Error naming
// the file or key.
Corpus load_corpus(FileSystem& fs, const DataRecipe& recipe, const std::string& cache_directory,
                   const std::function<void(const std::string&)>& say);

}  // namespace switchyard::train
