// Recorded loss trajectories: tests/golden/losses/*.json holds the loss of every step of a few tiny
// recipes. A change that moves them changes what training does, and its commit must say so.
//
// To record them again: SWITCHYARD_RECORD_GOLDEN=1 train_test --gtest_filter='*GoldenLosses*'
#include <cstdlib>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "train/run_log.h"
#include "train/testing_recipe.h"
#include "train/trainer.h"

namespace switchyard::train {
namespace {

// Another BLAS sums products in another order. The error of one step is near 1e-7 of the loss and
// grows over the 20 steps, most where it flips a router's choice; a change of the method moves
// these losses by 1e-2 and more.
constexpr double kTolerance = 2e-3;

struct Golden {
  const char* name;
  std::vector<std::string> overrides;
  std::vector<std::string> removed;
};

void PrintTo(const Golden& golden, std::ostream* out) { *out << golden.name; }

const std::vector<Golden>& goldens() {
  static const std::vector<Golden> table = {
      {"mixtral-top2-adamw", {}, {}},
      {"olmoe-top1-dropout-accumulation",
       {"model.family=olmoe", "router.experts_per_token=1", "model.dropout=0.1",
        "train.accumulation=2", "train.batch=2"},
       {}},
      {"switchyard-capacity-linear",
       {"model.family=switchyard", "router.capacity_factor=1.0", "train.schedule=linear",
        "train.min_lr_share=0", "model.tied_embeddings=false"},
       {}},
      {"llama-dense-sgd",
       {"model.family=llama", "train.optimizer=sgd", "train.lr=0.5", "train.clip=0.5"},
       {"router"}},
      {"llama-dense-adam",
       {"model.family=llama", "train.optimizer=adam", "train.schedule=constant"},
       {"router"}},
  };
  return table;
}

std::vector<double> losses(const Golden& golden) {
  testing_support::MemoryFileSystem fs;
  put_text(fs);
  std::vector<std::string> overrides = {"train.steps=20", "train.eval_every=0",
                                        "train.checkpoint_every=0"};
  overrides.insert(overrides.end(), golden.overrides.begin(), golden.overrides.end());
  run_training(fs, parse_recipe(kTinyMoe, "tiny.toml", overrides, golden.removed), {});
  std::vector<double> out;
  for (const nlohmann::json& line : read_log(fs, "run/log.jsonl")) {
    if (line.value("event", "") == "step") out.push_back(line.at("loss").get<double>());
  }
  return out;
}

class GoldenLosses : public ::testing::TestWithParam<Golden> {};

TEST_P(GoldenLosses, AreFollowed) {
  const Golden& golden = GetParam();
  const std::string path = std::string(SWITCHYARD_GOLDEN_LOSSES) + "/" + golden.name + ".json";
  const std::vector<double> now = losses(golden);
  if (std::getenv("SWITCHYARD_RECORD_GOLDEN") != nullptr) {
    const nlohmann::json json = {
        {"overrides", golden.overrides}, {"removed", golden.removed}, {"loss", now}};
    write_file_atomically(real_file_system(), path, json.dump(2) + "\n");
    return;
  }
  const nlohmann::json recorded = nlohmann::json::parse(read_file(real_file_system(), path));
  EXPECT_EQ(recorded.at("overrides").get<std::vector<std::string>>(), golden.overrides)
      << "record it again";
  const auto then = recorded.at("loss").get<std::vector<double>>();
  ASSERT_EQ(then.size(), now.size());
  for (std::size_t i = 0; i < then.size(); ++i)
    EXPECT_NEAR(now[i], then[i], kTolerance * then[i]) << "step " << i + 1;
  EXPECT_LT(now.back(), now.front());
}

INSTANTIATE_TEST_SUITE_P(Recipes, GoldenLosses, ::testing::ValuesIn(goldens()),
                         [](const auto& golden) {
                           std::string name = golden.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace switchyard::train
