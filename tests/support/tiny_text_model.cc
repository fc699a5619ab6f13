#include "support/tiny_text_model.h"

#include <vector>

#include "switchyard/tokenizer.h"

#include "support/tiny_model.h"

namespace switchyard::testing_support {

void write_tiny_text_model(FileSystem& fs, const std::string& directory, ModelConfig config,
                           std::uint64_t seed, DType dtype) {
  const std::vector<std::string> documents = {
      "Once upon a time there was a router who sent every token to an expert.",
      "The experts lived on a disk, and only a few of them fitted into memory at a time.",
      "So the router waited, and the tokens waited, and the answer was always the same."};
  const Tokenizer tokenizer = train_byte_level_bpe(documents, {.vocab = 320, .progress = {}});
  config.vocab = static_cast<int>(tokenizer.vocab_size());
  config.eos = {*tokenizer.id("<|endoftext|>")};
  write_tiny_model(fs, directory, config, seed, dtype);
  tokenizer.save(fs, directory + "/tokenizer.json");
}

}  // namespace switchyard::testing_support
