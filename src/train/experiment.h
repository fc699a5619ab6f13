// An experiment: a claim of a paper as arms x seeds of one recipe, read from TOML. The keys are
// documented in docs/formats/recipe.md.
//
//   recipe = "../../recipes/wikitext2-moe.toml"      # relative to this file
//   seeds = [1, 2, 3]
//   [arm.dense]
//   unset = ["router"]
//   set = ["model.family=llama", "model.hidden=512"]
//   [arm.moe]
//   [claim.perplexity]
//   text = "..."  metric = "test_word_perplexity"  baseline = "dense"  method = "moe"  better =
//   "lower" [quick]                                            # what --quick changes; its text is
//   generated set = ["train.steps=30"]
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "switchyard/file_system.h"

#include "train/recipe.h"

namespace switchyard::train {

struct Arm {
  std::string name;
  std::string what;                // one line for people
  std::vector<std::string> set;    // overrides of the recipe
  std::vector<std::string> unset;  // sections and keys taken out first
};

struct Claim {
  std::string name;
  std::string text;       // what was published
  std::string source;     // where
  std::string published;  // the published numbers, as text; may be empty
  std::string metric;     // a number of result.json
  std::string baseline;   // arms
  std::string method;
  bool lower_is_better = true;
};

struct Experiment {
  std::string name;
  std::string title;
  std::string recipe;  // path, relative to the working directory
  std::vector<std::uint64_t> seeds;
  std::vector<Arm> arms;  // in the file's order
  std::vector<Claim> claims;
  std::vector<std::string> quick_set;

  const Arm& arm(const std::string& name) const;
};

// Throws Error naming key and line; every arm's recipe is read, so that a mistake shows before the
// first run.
Experiment load_experiment(FileSystem& fs, const std::string& path);

// The recipe of one run. `extra` overrides come last.
Recipe arm_recipe(FileSystem& fs, const Experiment& experiment, const Arm& arm, std::uint64_t seed,
                  const std::vector<std::string>& extra);

}  // namespace switchyard::train
