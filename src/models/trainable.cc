#include "models/trainable.h"

#include "switchyard/error.h"

namespace switchyard::models {

void require_trainable(const ModelConfig& config, const std::string& where) {
  const auto require = [&](bool holds, const char* what) {
    if (holds) return;
    throw Error(
        {.what = std::string("training does not know ") + what,
         .where = where,
         .expected =
             "the blocks of Llama, Qwen and Mixtral, with plain RoPE and attention over all tokens",
         .fix = "use the model with run, chat or bench, or train another"});
  };
  require(!config.mla, "latent attention (kv_lora_rank)");
  require(config.rope_scaling.kind == RopeKind::plain, "scaled RoPE (rope_scaling)");
  require(config.sliding_window == 0, "sliding windows (sliding_window)");
  require(!config.attention_sinks, "attention sinks");
  require(!config.attention_output_bias, "a bias on the output of attention");
  require(!config.dense.clamped, "clamped networks");
  if (!config.moe) return;
  require(!config.moe->expert.clamped, "clamped networks");
  require(!config.moe->router_bias && !config.moe->expert_bias, "biases of routers and experts");
}

}  // namespace switchyard::models
