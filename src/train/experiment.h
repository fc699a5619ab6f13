// An experiment: claims of a paper as arms x seeds of one recipe, read from TOML. The keys are
// documented in docs/formats/recipe.md.
//
//   recipe = "../../recipes/wikitext2-moe.toml"      # relative to this file
//   seeds = [1, 2, 3]
//   [arm.dense]
//   unset = ["router"]
//   set = ["model.family=llama", "model.hidden=512"]
//   [arm.moe]
//   [arm.tuned]
//   from = "moe"                  # starts from the model that the arm moe made with the same seed
//   [claim.perplexity]
//   text = "..."
//   metric = "test_word_perplexity"
//   baseline = "dense"
//   method = "moe"
//   better = "lower"
//   [quick]                       # what --quick changes; its text is generated
//   set = ["train.steps=30"]
//   [preset.gpu]                  # what --preset gpu changes
//   set = ["model.width=512"]
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "switchyard/file_system.h"

#include "train/recipe.h"

namespace switchyard::train {

struct Arm {
  std::string name;
  std::string what;                // one line for people
  std::string from;                // arm whose model of the same seed the run starts from, or empty
  std::vector<std::string> set;    // overrides of the recipe
  std::vector<std::string> unset;  // sections and keys taken out first
  // The test text is evaluated with each of these K after training. Empty: with the model's own.
  std::vector<std::int64_t> sweep_experts_per_token;
};

// Overrides of a kind of run (quick, a preset): of every arm, then of single arms.
struct Overrides {
  std::vector<std::string> all;
  std::map<std::string, std::vector<std::string>> by_arm;

  std::vector<std::string> of(const std::string& arm) const;
};

// What is measured on the exported model of every run besides its losses.
struct Measure {
  // Of the bytes of all experts: the memory that the runtime may fill with them while its speed and
  // reads are measured. 0: not measured.
  double runtime_budget = 0;
};

struct Claim {
  enum class Kind {
    comparison,  // the method's metric is better than the baseline's, or not worse by
                 // `not_worse_by`
    value,       // the method's metric lies in [low, high]
  };
  std::string name;
  std::string text;       // what was published
  std::string source;     // where
  std::string published;  // the published numbers, as text; may be empty
  std::string metric;     // a number of result.json
  Kind kind = Kind::comparison;
  std::string baseline;  // an arm; empty for `value`
  std::string method;    // an arm
  bool lower_is_better = true;
  double not_worse_by = 0;   // the method may be this much worse
  double low = 0, high = 0;  // value
};

struct Experiment {
  std::string name;
  std::string title;
  std::string recipe;  // path, relative to the working directory
  std::vector<std::uint64_t> seeds;
  std::vector<Arm> arms;  // in the file's order, but an arm comes after the one it starts from
  std::vector<Claim> claims;
  std::string
      headline;  // the claim that stands for the paper in short tables; the first by default
  Overrides quick;
  std::map<std::string, Overrides> presets;
  std::string analysis;  // of the table in experiment_analysis.h, run after the arms; or empty
  Measure measure;

  const Arm& arm(const std::string& name) const;
  const Overrides& preset(const std::string& name) const;
};

// Throws Error naming key and line; every arm's recipe is read, so that a mistake shows before the
// first run.
Experiment load_experiment(FileSystem& fs, const std::string& path);

// The recipe of one run. `extra` overrides come last.
Recipe arm_recipe(FileSystem& fs, const Experiment& experiment, const Arm& arm, std::uint64_t seed,
                  const std::vector<std::string>& extra);

}  // namespace switchyard::train
