#include "models/trainable.h"

#include "switchyard/error.h"

namespace switchyard::models {

void require_trainable(const ModelConfig& config, const std::string& where) {
  const auto require = [&](bool holds, const char* what) {
    if (holds) return;
    throw Error({.what = std::string("training does not know ") + what,
                 .where = where,
                 .expected = "grouped-query attention over all tokens, with plain RoPE",
                 .fix = "use the model with run, chat or bench, or train another"});
  };
  require(!config.mla, "latent attention (kv_lora_rank)");
  require(config.rope_scaling.kind == RopeKind::plain, "scaled RoPE (rope_scaling)");
  require(config.sliding_window == 0, "sliding windows (sliding_window)");
}

}  // namespace switchyard::models
