#include "cli/synth_model.h"

#include <nlohmann/json.hpp>

#include "switchyard/expert_pack.h"
#include "switchyard/thread_pool.h"

#include "cli/model_output.h"
#include "formats/gguf/gguf_model.h"
#include "formats/gguf/tokenizer_keys.h"
#include "formats/sharded_safetensors.h"
#include "formats/synthetic/weights.h"
#include "formats/tokenizer/made_up.h"

namespace switchyard::cli {
namespace {

nlohmann::json tokenizer_config(const ModelConfig& config) {
  return {{"tokenizer_class", "PreTrainedTokenizerFast"},
          {"bos_token", MadeUpTokenizer::kEndOfText},
          {"eos_token", MadeUpTokenizer::kTurnEnd},
          {"pad_token", MadeUpTokenizer::kEndOfText},
          {"add_bos_token", false},
          {"model_max_length", config.context},
          {"chat_template", MadeUpTokenizer::kChatTemplate}};
}

}  // namespace

void write_synthetic_model(FileSystem& fs, const std::string& to, ModelConfig config,
                           const SynthOptions& options) {
  check_name_is_free(fs, to);
  const MadeUpTokenizer text = made_up_tokenizer(static_cast<std::size_t>(config.vocab));
  config.bos = text.end_of_text;
  config.eos = {text.turn_end, text.end_of_text};
  ThreadPool pool(options.threads);
  const WeightFiles weights =
      synthetic_weights(config, {.seed = options.seed, .pool = &pool, .made = options.made});

  if (names_gguf(to)) {
    GgufWriteOptions write{.packed = options.pack,
                           .name = options.name,
                           .metadata = gguf_tokenizer_keys(
                               text.tokenizer.to_gguf(static_cast<std::size_t>(config.vocab)),
                               std::string(MadeUpTokenizer::kChatTemplate)),
                           .pool = &pool};
    write.type_of = [&](const std::string& tensor, std::span<const std::int64_t> shape) {
      return options.types.of(tensor, shape).value_or(DType::bf16);
    };
    write_gguf(fs, to, config, weights, write);
    return;
  }
  write_directory_atomically(fs, to, [&](const std::string& directory) {
    const DType dtype = options.dtype.value_or(DType::bf16);
    write_safetensors_model(fs, directory, weights,
                            {.type_of = [&](const TensorInfo&) { return dtype; },
                             .shard_bytes = options.shard_bytes,
                             .pool = &pool});
    const nlohmann::json json = to_json(config, dtype == DType::f32 ? "float32" : "bfloat16");
    write_file_atomically(fs, directory + "/config.json", json.dump(2) + "\n");
    write_file_atomically(fs, directory + "/tokenizer_config.json",
                          tokenizer_config(config).dump(2) + "\n");
    text.tokenizer.save(fs, directory + "/tokenizer.json");
    if (options.pack) experts::write_pack(fs, directory, config);
  });
}

}  // namespace switchyard::cli
