// The recipes, experiments and result tables of this source tree hold together.
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "train/experiment.h"
#include "train/experiment_report.h"
#include "train/recipe.h"

namespace switchyard::train {
namespace {

const std::string kRoot = SWITCHYARD_SOURCE_DIR;

TEST(Tree, EveryRecipeReads) {
  FileSystem& fs = real_file_system();
  int recipes = 0;
  for (const std::string& name : fs.list(kRoot + "/recipes")) {
    if (!name.ends_with(".toml")) continue;
    ++recipes;
    EXPECT_NO_THROW(load_recipe(fs, kRoot + "/recipes/" + name, {"data.train=text.txt"})) << name;
  }
  EXPECT_GE(recipes, 3);
}

TEST(Tree, EveryExperimentReadsAndItsReadmeShowsItsResults) {
  FileSystem& fs = real_file_system();
  int experiments = 0;
  int on_gpu = 0;
  for (const std::string& name : fs.list(kRoot + "/papers")) {
    const std::string home = kRoot + "/papers/" + name;
    if (!fs.exists(home + "/experiment.toml")) continue;
    ++experiments;
    const Experiment experiment = load_experiment(fs, home + "/experiment.toml");
    for (const auto& [preset, overrides] : experiment.presets) {
      for (const Arm& arm : experiment.arms) {
        const Recipe own = arm_recipe(fs, experiment, arm, 1, {});
        const Recipe other = arm_recipe(fs, experiment, arm, 1, overrides.of(arm.name));
        EXPECT_GT(model_config(other, 300, 0).parameters(), model_config(own, 300, 0).parameters())
            << name << ", arm " << arm.name << ", preset " << preset;
      }
    }
    on_gpu += experiment.presets.contains("gpu") ? 1 : 0;
    if (!fs.exists(home + "/results.json")) continue;
    const std::string readme = read_file(fs, home + "/README.md");
    const nlohmann::json results = nlohmann::json::parse(read_file(fs, home + "/results.json"));
    EXPECT_EQ(with_results(readme, results_markdown(results), home), readme)
        << name << ": the table is not that of results.json; run reproduce with --update-readme";
  }
  EXPECT_GE(experiments, 6);
  EXPECT_GE(on_gpu, 5);
}

}  // namespace
}  // namespace switchyard::train
