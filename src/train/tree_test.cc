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
  for (const std::string& name : fs.list(kRoot + "/papers")) {
    const std::string home = kRoot + "/papers/" + name;
    if (!fs.exists(home + "/experiment.toml")) continue;
    ++experiments;
    EXPECT_NO_THROW(load_experiment(fs, home + "/experiment.toml")) << name;
    if (!fs.exists(home + "/results.json")) continue;
    const std::string readme = read_file(fs, home + "/README.md");
    const nlohmann::json results = nlohmann::json::parse(read_file(fs, home + "/results.json"));
    EXPECT_EQ(with_results(readme, results_markdown(results), home), readme)
        << name << ": the table is not that of results.json; run reproduce with --update-readme";
  }
  EXPECT_GE(experiments, 1);
}

}  // namespace
}  // namespace switchyard::train
