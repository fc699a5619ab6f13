// A recipe: everything a training run depends on, read from TOML, validated once, and written back
// resolved into the run directory. The keys are documented in docs/formats/recipe.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "switchyard/file_system.h"
#include "switchyard/model_config.h"
#include "switchyard/routing.h"

#include "train/value_schedule.h"

namespace switchyard::train {

// [model]. With a [router] section the FFN of every layer is an MoE layer and `hidden` is F of one
// expert; without it every layer is dense and `hidden` is the width of its FFN.
struct ModelRecipe {
  Family family = Family::olmoe;
  int width = 128;                          // D
  int layers = 4;                           // L
  int heads = 4;                            // H
  int kv_heads = 0;                         // 0: H
  int head_dim = 0;                         // 0: D / H
  int hidden = 256;                         // F
  std::vector<std::int64_t> expert_hidden;  // widths of the experts where they differ; largest: F
  Activation activation = Activation::silu;
  bool gated = true;  // false: down(act(up(x))), two matrices; family switchyard only
  bool tied_embeddings = true;
  QkNorm qk_norm = QkNorm::full;  // the family's where not given; another in switchyard only
  double norm_epsilon = 1e-5;
  double rope_theta = 10000.0;
  int context = 0;       // 0: [data] sequence
  double dropout = 0.0;  // on embeddings and on what attention and FFN add; training only

  bool operator==(const ModelRecipe&) const = default;
};

// Entries of the tokenizer "bytes": 256 bytes and the end-of-text token.
inline constexpr int kByteVocab = 257;
inline constexpr const char* kByteTokenizer = "bytes";

// [data]. Paths are relative to the working directory or to $SWITCHYARD_DATA; a file that is only
// there as .xz or .gz is read decompressed.
struct DataRecipe {
  std::vector<std::string> train;
  std::vector<std::string>
      valid;  // empty: `valid_share` of the documents are held out, the last ones
  std::vector<std::string> test;  // may be empty; evaluated once at the end
  double valid_share = 0.05;
  std::string separator;  // text between documents, becomes the end-of-text token; empty: a file is
                          // one document
  std::string text_field = "text";  // of a JSONL file
  // A tokenizer.json or its directory; empty: one is trained on the training text; "bytes": every
  // byte is a token, and the end of a text is one more
  std::string tokenizer;
  int vocab = 2048;    // of the tokenizer trained here; of "bytes": kByteVocab
  int sequence = 128;  // T, tokens a sequence
  std::string cache;   // directory of tokenised text; empty: cache/ in the output directory
  std::int64_t limit_bytes = 0;       // only this much of the training text; 0: all
  std::int64_t limit_test_bytes = 0;  // only this much of the validation and of the test text

  bool operator==(const DataRecipe&) const = default;
};

enum class OptimizerKind { adamw, adam, sgd };
enum class ScheduleKind { cosine, linear, constant };

enum class NullInit { copy, normal };

struct OptimizerRecipe {
  OptimizerKind kind = OptimizerKind::adamw;
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay =
      0.1;                // adamw: decoupled, on matrices only; adam, sgd: added to the gradient
  double momentum = 0.9;  // sgd

  bool operator==(const OptimizerRecipe&) const = default;
};

struct ScheduleRecipe {
  ScheduleKind kind = ScheduleKind::cosine;
  std::int64_t warmup = 0;    // steps in which lr rises linearly to its value
  double min_lr_share = 0.1;  // cosine and linear end at this share of lr

  bool operator==(const ScheduleRecipe&) const = default;
};

// [train]
struct TrainRecipe {
  std::int64_t steps = 0;  // optimizer steps; exactly one of steps, tokens, flops is given
  std::int64_t tokens = 0;
  double flops =
      0;           // of forward and backward passes, counted from the experts chosen; run_length.h
  int batch = 16;  // B, sequences computed at once
  int accumulation = 1;  // batches whose gradients are summed into one step
  std::uint64_t seed = 1;
  OptimizerRecipe optimizer;
  ScheduleRecipe schedule;
  double clip = 1.0;           // global gradient norm; 0: off
  bool bf16 = false;           // passes in bf16 on a copy of the weights, which stay fp32
  double bias_update = 0.001;  // step of the selection bias of routers that have one
  int eval_every = 100;        // steps; 0: only at the end
  int eval_windows = 0;        // sequences of one evaluation during training; 0: all
  int patience = 0;            // evaluations without improvement before stopping; 0: off
  int checkpoint_every = 200;  // steps; 0: only at the end and on Ctrl-C
  int keep_checkpoints = 2;
  int log_every = 10;  // steps
  int threads = 0;     // 0: one a core
  // A model directory whose weights the run starts from; empty: random weights. What the model of
  // this recipe has besides (null experts, a router, experts made of a dense FFN) is made from it.
  std::string from;
  NullInit null_init = NullInit::copy;  // with `from`: rows that a router gets for null experts
  bool only_router = false;             // all weights but the routers' stay as they are

  bool operator==(const TrainRecipe&) const = default;
};

// [output]
struct OutputRecipe {
  std::string directory;  // empty: runs/<name>
  bool bf16 = false;      // exported weights in bf16 instead of fp32
  bool best = true;       // export the weights of the best evaluation instead of the last step's

  bool operator==(const OutputRecipe&) const = default;
};

struct Recipe {
  std::string name;
  ModelRecipe model;
  std::optional<routing::Config> router;
  DataRecipe data;
  RouterSchedules schedules;
  TrainRecipe train;
  OutputRecipe output;

  bool operator==(const Recipe&) const = default;

  std::int64_t tokens_per_step() const;
  // Optimizer steps in all: [train] steps, or tokens rounded up to whole steps; 0 for [train]
  // flops.
  std::int64_t total_steps() const;
};

// Reads `text`, applies "section.key=value" overrides in order, and validates. `file` names the
// recipe in messages and gives the default of `name` (its stem). `removed`: sections or keys taken
// out before the overrides.
Recipe parse_recipe(const std::string& text, const std::string& file,
                    const std::vector<std::string>& overrides = {},
                    const std::vector<std::string>& removed = {});
Recipe load_recipe(FileSystem& fs, const std::string& path,
                   const std::vector<std::string>& overrides = {},
                   const std::vector<std::string>& removed = {});

// The resolved recipe: every key with its value. parse_recipe(to_toml(r)) == r.
std::string to_toml(const Recipe& recipe);

// The model that the recipe describes, for a vocabulary of `vocab` tokens. Validated.
ModelConfig model_config(const Recipe& recipe, int vocab, std::optional<std::int32_t> end_of_text);

}  // namespace switchyard::train
