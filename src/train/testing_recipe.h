// Runs small enough for unit tests: recipes on generated text in a file system of memory.
#pragma once

#include <string>
#include <vector>

#include "support/memory_file_system.h"
#include "train/generated_text.h"
#include "train/recipe.h"

namespace switchyard::train {

inline constexpr const char* kTinyMoe = R"(
name = "tiny"
[model]
family = "mixtral"
width = 16
layers = 2
heads = 2
hidden = 16
[router]
kind = "top_k"
experts = 4
experts_per_token = 2
losses = { balance_coefficient = 0.01, z_coefficient = 0.001 }
[data]
train = "text.txt"
vocab = 280
sequence = 16
[train]
steps = 12
batch = 4
lr = 1e-2
warmup = 2
eval_every = 3
eval_windows = 4
checkpoint_every = 4
log_every = 1
threads = 1
[output]
directory = "run"
)";

inline Recipe tiny_recipe(const std::vector<std::string>& overrides = {}) {
  return parse_recipe(kTinyMoe, "tiny.toml", overrides);
}

// A file system that holds the recipe's text.
inline void put_text(testing_support::MemoryFileSystem& fs) {
  fs.put("text.txt", generate_text(6000, 1));
}

}  // namespace switchyard::train
