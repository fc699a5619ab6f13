#include "train/experiment_plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>

#include "train/run_directory.h"
#include "train/testing_recipe.h"

namespace switchyard::train {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ExperimentPlot : public ::testing::Test {
 protected:
  ExperimentPlot() { experiment_.title = "T"; }

  // A finished run with one evaluation, at the end.
  void add_run(const std::string& name, const std::string& from, double flops,
               const nlohmann::json& result = nlohmann::json::object()) {
    const RunDirectory directory{name};
    fs_.create_directories(directory.root);
    fs_.put(directory.recipe(), to_toml(tiny_recipe({"train.flops=1e13", "train.steps=0"})));
    const nlohmann::json line = {
        {"event", "evaluation"}, {"step", 10}, {"training_flops", flops}, {"valid_loss", 2.0}};
    fs_.put(directory.log(), line.dump() + "\n");
    experiment_.arms.emplace_back();
    experiment_.arms.back().name = name;
    experiment_.arms.back().from = from;
    runs_.push_back({.arm = name, .seed = 1, .result = result, .directory = directory.root});
    runs_.back().result["training_flops"] = flops;
  }
  std::string figure(const std::string& name) {
    for (const Figure& figure : plot_experiment(fs_, experiment_, runs_)) {
      if (figure.name == name) return figure.svg;
    }
    return "";
  }

  testing_support::MemoryFileSystem fs_;
  Experiment experiment_;
  std::vector<FinishedRun> runs_;
};

TEST_F(ExperimentPlot, WhatARunStartedFromCountsWhereFlopsAreTheAxis) {
  add_run("first", "", 3e12);
  EXPECT_THAT(figure("plot.svg"), HasSubstr(">training FLOPs<"));
  EXPECT_THAT(figure("plot.svg"), Not(HasSubstr(">4T<")));
  add_run("second", "first", 1e12);
  add_run("third", "second", 1e12);
  EXPECT_THAT(figure("plot.svg"), HasSubstr("with those of the arm it starts from"));
  EXPECT_THAT(figure("plot.svg"), HasSubstr(">5T<"));
}

TEST_F(ExperimentPlot, SpeedsOfTheRuntimeOnlyWhereTheyWereMeasured) {
  add_run("fast", "", 1e12, {{"runtime_tokens_per_second", 18500.0}});
  add_run("silent", "", 1e12);
  const std::string svg = figure("runtime.svg");
  EXPECT_THAT(svg, HasSubstr(">18500<"));
  EXPECT_THAT(svg, Not(HasSubstr("silent")));
  runs_[0].result.erase("runtime_tokens_per_second");
  EXPECT_EQ(figure("runtime.svg"), "");
}

}  // namespace
}  // namespace switchyard::train
