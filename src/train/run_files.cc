#include "train/run_files.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sstream>

#include "switchyard/error.h"

#include "models/checkpoint_io.h"

namespace switchyard::train {
namespace {

// The recipe as lines, with what may differ set to fixed values.
std::vector<std::string> comparable(Recipe recipe) {
  recipe.output = {};
  recipe.data.cache.clear();
  recipe.train.checkpoint_every = 0;
  recipe.train.keep_checkpoints = 1;
  recipe.train.threads = 0;
  std::vector<std::string> lines;
  std::istringstream text(to_toml(recipe));
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

}  // namespace

void check_same_recipe(FileSystem& fs, const std::string& path, const Recipe& recipe) {
  const std::vector<std::string> before = comparable(load_recipe(fs, path));
  const std::vector<std::string> now = comparable(recipe);
  for (std::size_t i = 0; i < std::max(before.size(), now.size()); ++i) {
    const std::string was = i < before.size() ? before[i] : "nothing";
    const std::string is = i < now.size() ? now[i] : "nothing";
    if (was == is) continue;
    throw Error({.what = fmt::format(
                     "the recipe has changed since this run began: it had '{}', now '{}'", was, is),
                 .where = path,
                 .expected = "the same recipe for --resume",
                 .fix = "take the change back, or start anew in another directory with --out"});
  }
}

void export_run(FileSystem& fs, const Recipe& recipe, const models::Decoder& model,
                const Tokenizer& tokenizer, const std::string& directory) {
  fs.create_directories(directory);
  tokenizer.save(fs, directory + "/tokenizer.json");
  nlohmann::json generation = {{"do_sample", true}, {"temperature", 0.8}, {"top_p", 0.95}};
  if (!model.config().eos.empty()) generation["eos_token_id"] = model.config().eos.front();
  write_file_atomically(fs, directory + "/generation_config.json", generation.dump(2) + "\n");
  models::SaveOptions options;
  options.dtype = recipe.output.bf16 ? DType::bf16 : DType::f32;
  options.metadata = {{"format", "pt"}, {"recipe", recipe.name}};
  models::save_model(fs, model, directory, options);
}

}  // namespace switchyard::train
