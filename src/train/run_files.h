// What a run reads and writes besides checkpoints and its log.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "switchyard/file_system.h"
#include "switchyard/tokenizer.h"

#include "models/decoder.h"
#include "train/recipe.h"

namespace switchyard::train {

// Throws Error naming the first key whose value differs from the recipe the run began with. Keys
// that cannot change the result may differ: those of logging, checkpoints and threads.
void check_same_recipe(FileSystem& fs, const std::string& path, const Recipe& recipe);

// A model directory in Hugging Face layout: config.json, generation_config.json, model.safetensors,
// tokenizer.json.
void export_run(FileSystem& fs, const Recipe& recipe, const models::Decoder& model,
                const Tokenizer& tokenizer, const std::string& directory);

}  // namespace switchyard::train
