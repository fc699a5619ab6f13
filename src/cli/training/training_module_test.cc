// The commands of the training module from outside: a process of their own that is interrupted,
// killed and started again.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <random>
#include <signal.h>
#include <sstream>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "base/random.h"
#include "support/temporary_directory.h"
#include "train/generated_text.h"

namespace switchyard::cli {
namespace {

using ::testing::HasSubstr;

constexpr const char* kRecipe = R"(
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
losses = { balance_coefficient = 0.01 }
[data]
train = "text.txt"
vocab = 280
sequence = 16
[train]
steps = 60
batch = 2
lr = 1e-2
eval_every = 7
eval_windows = 4
checkpoint_every = 5
log_every = 1
threads = 1
)";

constexpr const char* kExperiment = R"(
title = "tiny"
recipe = "recipe.toml"
seeds = [1, 2]
[arm.dense]
unset = ["router"]
set = ["model.family=llama", "model.hidden=32"]
[arm.moe]
[claim.loss]
text = "MoE has a lower loss"
source = "nobody"
metric = "test_loss"
baseline = "dense"
method = "moe"
better = "lower"
[quick]
set = ["train.steps=10"]
)";

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

class TrainingModule : public ::testing::Test {
 protected:
  TrainingModule() {
    write("text.txt", train::generate_text(6000, 1));
    write("recipe.toml", kRecipe);
  }

  void write(const std::string& name, const std::string& text) {
    std::ofstream(path(name), std::ios::binary) << text;
  }
  std::string path(const std::string& name) const { return directory_ / name; }

  // Starts a command in the directory, its output in out.txt and err.txt.
  pid_t start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {SWITCHYARD_TRAINING_RUNNER, SWITCHYARD_TRAINING_MODULE});
    const pid_t child = fork();
    if (child != 0) return child;
    if (chdir(directory_.path().c_str()) != 0) _exit(126);
    dup2(open("out.txt", O_CREAT | O_TRUNC | O_WRONLY, 0600), STDOUT_FILENO);
    dup2(open("err.txt", O_CREAT | O_TRUNC | O_WRONLY, 0600), STDERR_FILENO);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    execv(argv[0], argv.data());
    _exit(127);
  }
  // The exit code, or minus the signal that ended it.
  static int wait_for(pid_t child) {
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  }
  int run(const std::vector<std::string>& arguments) { return wait_for(start(arguments)); }
  std::string out() const { return slurp(path("out.txt")); }
  std::string err() const { return slurp(path("err.txt")); }

  // Sends `signal` once the run's log has `lines` lines. False if the process ended before.
  bool signal_at(pid_t child, const std::string& log, std::int64_t lines, int signal) {
    for (;;) {
      const std::string text = slurp(path(log));
      if (std::count(text.begin(), text.end(), '\n') >= lines) return kill(child, signal) == 0;
      siginfo_t info = {};
      if (waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
          info.si_pid == child) {
        return false;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }

  // A run's result without the clock's part in it: the rest is the same in every run of a recipe.
  nlohmann::json result(const std::string& run) const {
    nlohmann::json json = nlohmann::json::parse(slurp(path(run + "/result.json")));
    for (const char* timing : {"seconds", "tokens_per_second", "step_milliseconds", "finished_at"})
      json.erase(timing);
    return json;
  }

  testing_support::TemporaryDirectory directory_;
};

TEST_F(TrainingModule, KilledAtRandomPointsItResumesToTheSameBits) {
  ASSERT_EQ(run({"train", "recipe.toml", "--out", "whole"}), 0) << err();
  std::random_device device;
  const std::uint64_t seed = device();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  std::int64_t lines = 0;
  int kills = 0;
  for (int attempt = 0; attempt < 5; ++attempt) {
    // A line is written for each step, and a few checkpoints lie between the kills.
    lines = std::min<std::int64_t>(lines + 4 + static_cast<std::int64_t>(random.below(14)), 60);
    const pid_t child = start({"train", "recipe.toml", "--out", "killed", "--resume"});
    const bool killed = signal_at(child, "killed/log.jsonl", lines, SIGKILL);
    const int code = wait_for(child);
    EXPECT_TRUE(code == 0 || (killed && code == -SIGKILL)) << err();
    kills += code == -SIGKILL;
  }
  EXPECT_GT(kills, 0);
  ASSERT_EQ(run({"train", "recipe.toml", "--out", "killed", "--resume"}), 0) << err();
  EXPECT_EQ(result("killed"), result("whole"));
  EXPECT_EQ(slurp(path("killed/model/model.safetensors")),
            slurp(path("whole/model/model.safetensors")));
}

TEST_F(TrainingModule, CtrlCWritesACheckpointAndSaysHowToGoOn) {
  const pid_t child =
      start({"train", "recipe.toml", "--set", "train.steps=100000", "--out", "run"});
  ASSERT_TRUE(signal_at(child, "run/log.jsonl", 8, SIGINT)) << err();
  EXPECT_EQ(wait_for(child), 130);
  EXPECT_THAT(err(), HasSubstr("a checkpoint is in run/checkpoints"));
  EXPECT_THAT(err(), HasSubstr("--resume"));
}

TEST_F(TrainingModule, MistakesAreOneLineAndTheExitCodeTellsWhose) {
  EXPECT_EQ(run({"train"}), 2);
  EXPECT_THAT(err(), HasSubstr("switchyard: error: "));
  EXPECT_EQ(run({"train", "recipe.toml", "--bogus"}), 2);
  EXPECT_EQ(run({"bogus"}), 2);
  EXPECT_EQ(run({"train", "missing.toml"}), 1);
  EXPECT_EQ(run({"train", "recipe.toml", "--set", "train.lrr=1"}), 1);
  const std::string line = err();
  EXPECT_THAT(line, HasSubstr("switchyard: error: unknown key 'lrr'"));
  EXPECT_THAT(line, HasSubstr("did you mean 'lr'?"));
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_EQ(run({"train", "recipe.toml", "--device", "cuda"}), 1);
  EXPECT_EQ(run({"train", "--help"}), 0);
  EXPECT_THAT(out(), HasSubstr("examples:"));
}

TEST_F(TrainingModule, ReproduceRunsJudgesAndGoesOn) {
  write("experiment.toml", kExperiment);
  const pid_t child =
      start({"reproduce", "experiment.toml", "--quick", "--out", "exp", "--seeds", "2"});
  ASSERT_TRUE(signal_at(child, "exp/moe-seed1/log.jsonl", 3, SIGINT)) << err();
  const int code = wait_for(child);
  EXPECT_TRUE(code == 130 || code == 0) << err();
  ASSERT_EQ(run({"reproduce", "experiment.toml", "--quick", "--out", "exp", "--only-seeds", "2"}),
            0)
      << err();
  EXPECT_TRUE(std::filesystem::exists(path("exp/moe-seed2/result.json")));
  EXPECT_FALSE(std::filesystem::exists(path("exp/results.json")));
  EXPECT_EQ(run({"reproduce", "experiment.toml", "--quick", "--out", "exp", "--only-seeds", "9"}),
            1);
  EXPECT_THAT(err(), HasSubstr("9 is no seed of the experiment"));
  ASSERT_EQ(run({"reproduce", "experiment.toml", "--quick", "--out", "exp", "--seeds", "2"}), 0)
      << err();
  EXPECT_THAT(err(), HasSubstr("dense-seed1 (1/4): already done"));
  EXPECT_THAT(out(), HasSubstr("| MoE has a lower loss (nobody) | test_loss, lower is better |"));
  EXPECT_THAT(out(), HasSubstr("it shows that the machinery works, not the claim"));
  const nlohmann::json results = nlohmann::json::parse(slurp(path("exp/results.json")));
  EXPECT_EQ(results.at("runs").size(), 4U);
  EXPECT_TRUE(results.at("quick").get<bool>());
  EXPECT_THAT(slurp(path("exp/plot.svg")), HasSubstr("<svg"));

  write("README.md", "# x\n<!-- results -->\n<!-- /results -->\n");
  EXPECT_EQ(run({"reproduce", "experiment.toml", "--quick", "--update-readme", "--out", "exp"}), 1);
  EXPECT_THAT(err(), HasSubstr("cannot be published"));
}

}  // namespace
}  // namespace switchyard::cli
