#include "train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <torch/types.h>
#include <torch/utils.h>

#include "models/checkpoint_io.h"
#include "support/errors.h"
#include "support/faulty_file_system.h"
#include "train/run_log.h"
#include "train/testing_recipe.h"

namespace switchyard::train {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using testing_support::error_of;
using testing_support::FaultyFileSystem;
using testing_support::MemoryFileSystem;

RunResult run(FileSystem& fs, const Recipe& recipe, bool resume = false) {
  RunOptions options;
  options.resume = resume;
  return run_training(fs, recipe, options);
}

// What must not depend on where a run was interrupted: the log without times, and the result.
std::vector<std::string> story(FileSystem& fs) {
  std::vector<std::string> lines;
  for (nlohmann::json line : read_log(fs, "run/log.jsonl")) {
    for (const char* key :
         {"milliseconds", "tokens_per_second", "gflops", "gemm_share", "gemm_gflops"})
      line.erase(key);
    lines.push_back(line.dump());
  }
  return lines;
}

struct Uninterrupted {
  RunResult result;
  std::vector<std::string> lines;
};

const Uninterrupted& uninterrupted() {
  static const Uninterrupted once = [] {
    MemoryFileSystem fs;
    put_text(fs);
    Uninterrupted out;
    out.result = run(fs, tiny_recipe());
    out.lines = story(fs);
    return out;
  }();
  return once;
}

void expect_same_end(FileSystem& fs, const RunResult& result, const std::string& when) {
  EXPECT_EQ(result.weights_hash, uninterrupted().result.weights_hash) << when;
  EXPECT_EQ(result.train_loss, uninterrupted().result.train_loss) << when;
  EXPECT_EQ(result.valid_loss, uninterrupted().result.valid_loss) << when;
  EXPECT_EQ(story(fs), uninterrupted().lines) << when;
}

// Forward and twice that backward, with the K that each step had: 1, 1, 2, 2, ... 4.
TEST(Trainer, CountsTheOperationsOfEveryStepOfASchedule) {
  MemoryFileSystem fs;
  put_text(fs);
  const Recipe recipe = tiny_recipe(
      {"model.family=switchyard", "router.experts_per_token=4", "output.best=false",
       "schedule.experts_per_token={kind='linear', from=1, to=4}", "train.eval_every=0"});
  const RunResult result = run(fs, recipe);
  ModelConfig config = model_config(recipe, 280, std::nullopt);
  double expected = 0;
  for (int step = 0; step < 12; ++step) {
    config.moe->router.experts_per_token =
        whole_value_at(*recipe.schedules.experts_per_token, step, 12);
    expected += 3.0 * 4 * 16 * static_cast<double>(config.flops_per_token(16));
  }
  EXPECT_DOUBLE_EQ(result.training_flops, expected);
  EXPECT_LT(*result.training_experts_per_token, 3.5);
}

TEST(Trainer, StartsFromAnotherModelsWeights) {
  MemoryFileSystem fs;
  put_text(fs);
  run(fs, tiny_recipe());
  // Without learning anything, the model ends where it began.
  const std::vector<std::string> changes = {"train.from=run/model",       "output.directory=tuned",
                                            "model.family=switchyard",    "router.null_experts=4",
                                            "router.experts_per_token=3", "train.lr=0.0",
                                            "train.weight_decay=0.0",     "train.steps=2",
                                            "train.checkpoint_every=1"};
  std::vector<std::string> said;
  RunOptions options;
  options.say = [&](const std::string& line) { said.push_back(line); };
  const RunResult tuned = run_training(fs, tiny_recipe(changes), options);
  EXPECT_NEAR(tuned.valid_loss, uninterrupted().result.valid_loss, 1e-5);
  EXPECT_THAT(said, Contains("router gets rows for null experts: 2 weights"));
  EXPECT_THAT(said, Contains("4 experts and 4 null experts, 3 choices an item: the balance loss "
                             "aims at 1.500 experts; copied rows start with 2"));
  EXPECT_THAT(read_file(fs, "tuned/recipe.toml"), HasSubstr("run/model/tokenizer.json"));
  EXPECT_EQ(read_file(fs, "tuned/model/tokenizer.json"), read_file(fs, "run/model/tokenizer.json"));

  // A run that goes on keeps its own weights.
  auto longer = changes;
  longer[5] = "train.lr=1e-2";
  longer[3] = "router.null_experts=8";
  longer.push_back("output.directory=again");
  const RunResult whole = run(fs, tiny_recipe(longer));
  RunOptions resume;
  resume.resume = true;
  fs.remove("again/result.json");
  EXPECT_EQ(run_training(fs, tiny_recipe(longer), resume).weights_hash, whole.weights_hash);
}

TEST(Trainer, SchedulesOfKAndOfTheBalanceLossHoldStepByStepAlsoAfterAResume) {
  const std::vector<std::string> changes = {
      "schedule.experts_per_token={ kind = \"linear\", from = 1, to = 4 }",
      "schedule.balance_coefficient={ kind = \"points\", points = [[0.0, 0.02], [0.5, 1e-4]] }"};
  MemoryFileSystem fs;
  put_text(fs);
  const RunResult whole = run(fs, tiny_recipe(changes));
  std::vector<double> k;
  std::vector<double> alpha;
  for (const nlohmann::json& line : read_log(fs, "run/log.jsonl")) {
    if (line.at("event") != "step") continue;
    k.push_back(line.at("router").at("experts_per_token"));
    alpha.push_back(line.at("router").at("balance_coefficient"));
  }
  // Step s of 12: 1 + 3 s / 12, the distance from 1 rounded half to even.
  EXPECT_EQ(k, (std::vector<double>{1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 4}));
  EXPECT_EQ(alpha, (std::vector<double>{0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 1e-4, 1e-4, 1e-4, 1e-4,
                                        1e-4, 1e-4}));
  EXPECT_NEAR(*whole.training_experts_per_token, 28.0 / 12, 1e-12);
  EXPECT_EQ(whole.routing->experts_per_token, 2.0);  // evaluation: the model's own

  MemoryFileSystem other;
  put_text(other);
  std::stop_source stop;
  RunOptions options;
  options.stop = stop.get_token();
  options.on_step = [&](const StepReport& report) {
    if (report.step == 7) stop.request_stop();
  };
  EXPECT_FALSE(run_training(other, tiny_recipe(changes), options).finished);
  EXPECT_EQ(run(other, tiny_recipe(changes), /*resume=*/true).weights_hash, whole.weights_hash);
}

TEST(Trainer, AnotherTokenizerThanTheSourcesIsRefused) {
  MemoryFileSystem fs;
  put_text(fs);
  run(fs, tiny_recipe());
  run(fs, tiny_recipe({"data.vocab=270", "output.directory=other"}));
  const auto parts = error_of([&] {
    run(fs, tiny_recipe({"train.from=run/model", "data.tokenizer=other/model/tokenizer.json",
                         "output.directory=tuned"}));
  });
  EXPECT_THAT(parts.what, HasSubstr("the tokenizer has 270 tokens"));
  EXPECT_EQ(parts.where, "[data] tokenizer");
}

TEST(Trainer, LearnsAndLeavesWhatItPromises) {
  MemoryFileSystem fs;
  put_text(fs);
  const RunResult result = run(fs, tiny_recipe({"train.steps=40", "data.test=text.txt"}));
  EXPECT_TRUE(result.finished);
  EXPECT_LT(result.train_loss, 4.5);  // uniform guessing: 5.6
  EXPECT_LT(*result.test_loss, 4.7);
  EXPECT_GT(*result.test_word_perplexity, *result.test_perplexity);
  EXPECT_GT(result.parameters, result.active_parameters);
  for (const char* file :
       {"recipe.toml", "log.jsonl", "curves.svg", "result.json", "model/config.json",
        "model/model.safetensors", "model/tokenizer.json", "model/generation_config.json"}) {
    EXPECT_TRUE(fs.exists(std::string("run/") + file)) << file;
  }
  EXPECT_EQ(fs.list("run/checkpoints").size(), 2U);  // the last two
  const auto parsed =
      run_result_from_json(nlohmann::json::parse(read_file(fs, "run/result.json")), "r");
  EXPECT_EQ(to_json(parsed), to_json(result));
}

TEST(Trainer, SameSeedSameBitsOtherSeedOtherBits) {
  MemoryFileSystem fs;
  put_text(fs);
  expect_same_end(fs, run(fs, tiny_recipe()), "a second run");
  MemoryFileSystem other;
  put_text(other);
  EXPECT_NE(run(other, tiny_recipe({"train.seed=2"})).weights_hash,
            uninterrupted().result.weights_hash);
}

TEST(Trainer, StopAndResumeAtEveryStepGivesTheSameBits) {
  for (std::int64_t at = 1; at < 12; at += 2) {
    MemoryFileSystem fs;
    put_text(fs);
    std::stop_source stop;
    RunOptions options;
    options.stop = stop.get_token();
    options.on_step = [&](const StepReport& report) {
      if (report.step == at) stop.request_stop();
    };
    const RunResult first = run_training(fs, tiny_recipe(), options);
    EXPECT_FALSE(first.finished);
    EXPECT_EQ(first.step, at);
    expect_same_end(fs, run(fs, tiny_recipe(), true), "stopped after step " + std::to_string(at));
  }
}

// Power is lost between two calls to the file system: while a checkpoint, the best weights, the log
// or the export is written. Whatever is found afterwards, resuming ends with the same bits.
TEST(Trainer, ACrashAtAnyCallResumesToTheSameBits) {
  int calls = 0;
  {
    MemoryFileSystem memory;
    put_text(memory);
    FaultyFileSystem fs(memory);
    run(fs, tiny_recipe());
    calls = fs.calls();
  }
  for (int n = 3; n < calls; n += calls / 23) {
    MemoryFileSystem memory;
    put_text(memory);
    FaultyFileSystem fs(memory);
    fs.halt_after(n);
    EXPECT_THROW(run(fs, tiny_recipe()), Error);
    memory.drop_unsynced();
    expect_same_end(memory, run(memory, tiny_recipe(), true),
                    "halted after call " + std::to_string(n));
  }
}

TEST(Trainer, AFullDiskStopsWithOneLineAndLosesNothing) {
  MemoryFileSystem memory;
  put_text(memory);
  FaultyFileSystem fs(memory);
  RunOptions options;
  options.on_step = [&](const StepReport& report) {
    if (report.step == 7) fs.limit_space(10'000);  // the checkpoint of step 8 does not fit
  };
  const auto parts = error_of([&] { run_training(fs, tiny_recipe(), options); });
  EXPECT_THAT(parts.what, HasSubstr("not written"));
  EXPECT_THAT(parts.fix, HasSubstr("--resume"));
  fs.heal();
  expect_same_end(memory, run(fs, tiny_recipe(), true), "after the disk was full");
}

TEST(Trainer, ResumeRefusesAnotherRecipeOrText) {
  MemoryFileSystem fs;
  put_text(fs);
  run(fs, tiny_recipe());
  EXPECT_THAT(error_of([&] { run(fs, tiny_recipe()); }).what,
              HasSubstr("already holds a run at step 12"));
  const auto changed = error_of([&] { run(fs, tiny_recipe({"train.lr=0.5"}), true); });
  EXPECT_THAT(changed.what, HasSubstr("it had 'lr = 0.01', now 'lr = 0.5'"));
  EXPECT_NO_THROW(run(fs, tiny_recipe({"train.keep_checkpoints=5"}), true));
  fs.put("text.txt", generate_text(6000, 2));
  EXPECT_THAT(error_of([&] { run(fs, tiny_recipe(), true); }).what,
              HasSubstr("is not the one this run began with"));
}

TEST(Trainer, StopsEarlyAndExportsTheBest) {
  MemoryFileSystem fs;
  put_text(fs);
  // Learning this fast goes wrong at once.
  const RunResult result = run(fs, tiny_recipe({"train.steps=60", "train.lr=0.9",
                                                "train.patience=2", "train.eval_every=1"}));
  EXPECT_TRUE(result.stopped_early);
  EXPECT_EQ(result.step, result.best_step + 2);
  EXPECT_TRUE(fs.exists("run/best"));
}

TEST(Trainer, ExportedModelIsTheTrainedOne) {
  MemoryFileSystem fs;
  put_text(fs);
  const RunResult result = run(fs, tiny_recipe());
  const auto model = models::load_model(fs, "run/model");
  EXPECT_EQ(model->config().family, Family::mixtral);
  models::ForwardContext context;
  torch::NoGradGuard no_grad;
  const torch::Tensor logits = model->forward(torch::arange(16).reshape({1, 16}), context);
  EXPECT_TRUE(torch::isfinite(logits).all().item<bool>());
  EXPECT_EQ(model->config().parameters(), result.parameters);
}

TEST(Trainer, ARouterThatCannotLearnIsAnErrorAndAFrozenOneAWarning) {
  MemoryFileSystem fs;
  put_text(fs);
  const auto parts = error_of([&] {
    run(fs, tiny_recipe({"router.experts_per_token=1", "router.losses={}"}));
  });
  EXPECT_THAT(parts.what + parts.where, HasSubstr("router"));
  std::vector<std::string> warnings;
  RunOptions options;
  options.warn = [&](const std::string& line) { warnings.push_back(line); };
  MemoryFileSystem other;
  put_text(other);
  run_training(other, tiny_recipe({"router.frozen=true"}), options);
  EXPECT_EQ(warnings.size(), 2U);
  EXPECT_THAT(warnings, Contains(HasSubstr("frozen")));
  EXPECT_THAT(read_file(other, "run/log.jsonl"), HasSubstr("\"warning\""));
}

TEST(Trainer, ALossThatDivergesStopsWithTheStep) {
  MemoryFileSystem fs;
  put_text(fs);
  const auto parts = error_of([&] {
    run(fs,
        tiny_recipe({"train.lr=1000", "train.optimizer=sgd", "train.clip=0", "train.steps=50"}));
  });
  EXPECT_THAT(std::string(Error(parts).what()), HasSubstr("finite"));
}

TEST(Trainer, DropoutTrainsAndResumesToo) {
  const Recipe recipe = tiny_recipe({"model.dropout=0.2"});
  MemoryFileSystem whole;
  put_text(whole);
  const RunResult expected = run(whole, recipe);
  EXPECT_NE(expected.weights_hash, uninterrupted().result.weights_hash);
  MemoryFileSystem fs;
  put_text(fs);
  std::stop_source stop;
  RunOptions options;
  options.stop = stop.get_token();
  options.on_step = [&](const StepReport& report) {
    if (report.step == 5) stop.request_stop();
  };
  run_training(fs, recipe, options);
  EXPECT_EQ(run(fs, recipe, true).weights_hash, expected.weights_hash);
}

}  // namespace
}  // namespace switchyard::train
