// switchyard bench as a process: its rows, its formats, how it stops.
#include <algorithm>
#include <array>
#include <cstdio>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <string>
#include <sys/wait.h>
#include <vector>

#include "cli/child_process.h"
#include "e2e/command_line.h"
#include "support/temporary_directory.h"
#include "support/tiny_model.h"
#include "support/tiny_text_model.h"

namespace switchyard::e2e {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Bench : public ::testing::Test {
 protected:
  void SetUp() override {
    testing_support::write_tiny_text_model(real_file_system(), model_,
                                           testing_support::tiny_mixtral());
  }

  static cli::ChildResult bench(cli::Arguments arguments) {
    arguments.insert(arguments.begin(), "bench");
    return cli::run_program(SWITCHYARD_BINARY, arguments);
  }

  static nlohmann::json rows(cli::Arguments arguments) {
    arguments.insert(arguments.end(), {"-o", "json"});
    const cli::ChildResult run = bench(std::move(arguments));
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return run.exit_code == 0 ? nlohmann::json::parse(run.out) : nlohmann::json::array();
  }

  static std::vector<std::string> column(const nlohmann::json& rows, const std::string& name) {
    std::vector<std::string> values;
    for (const auto& row : rows) values.push_back(row.at(name).get<std::string>());
    return values;
  }

  testing_support::TemporaryDirectory directory_;
  std::string model_ = directory_ / "model";
};

TEST_F(Bench, EveryCombinationIsARowWithFiguresOfItsOwn) {
  const auto list =
      rows({model_, "-p", "6", "-n", "4", "-pg", "3,2", "-d", "0,5", "-t", "1", "-r", "2"});
  EXPECT_THAT(column(list, "test"),
              ElementsAre("pp6", "pp6 @ d5", "tg4", "tg4 @ d5", "pp3+tg2", "pp3+tg2 @ d5"));
  for (const auto& row : list) {
    EXPECT_EQ(row["samples_ns"].size(), 2U);
    EXPECT_GT(row["avg_ts"], 0);
    EXPECT_GT(row["gigabytes_per_second"], 0);
    EXPECT_GT(row["share_of_dram"], 0);
    EXPECT_GT(row["share_of_peak"], 0);
    EXPECT_GT(row["peak_memory"], 0);
    EXPECT_EQ(row["file_type"], "F32");
    EXPECT_THAT(row["model_type"].get<std::string>(), StartsWith("mixtral "));
  }
  // What is in the cache already is read and not computed again.
  EXPECT_GT(list[3]["cache_bytes_per_token"], list[2]["cache_bytes_per_token"]);
  EXPECT_EQ(list[3]["weight_bytes_per_token"], list[2]["weight_bytes_per_token"]);
  EXPECT_NE(list[3]["token_hash"], list[2]["token_hash"]);
}

TEST_F(Bench, BudgetsThreadsKernelsAndBatchesGiveTheSameTokens) {
  const auto list = rows({model_, "-p", "16", "-n", "12", "-r", "1", "--budgets", "100%,25%", "-t",
                          "1,2", "-b", "4,512", "--kernels", "scalar,auto"});
  ASSERT_EQ(list.size(), 32U);
  for (const auto& row : list) EXPECT_EQ(row["same_tokens"], true) << row;
  const auto hashes = column(list, "token_hash");
  EXPECT_EQ(std::ranges::count(hashes, hashes[0]), 16);
  EXPECT_EQ(std::ranges::count(hashes, hashes[1]), 16);
  EXPECT_EQ(list[0]["n_ubatch"], 4);
  // A quarter of the experts in memory: some have to be read.
  EXPECT_EQ(list[17]["budget"], "25%");
  EXPECT_GT(list[17]["read_bytes_per_token"], 0);
  EXPECT_LT(list[17]["hit_ratio"], 1);
}

TEST_F(Bench, ATextIsThePromptAndGenerationGoesOnFromIt) {
  const auto list = rows({model_, "--prompt", "Once upon a time there was", "-n", "3", "-r", "1"});
  ASSERT_EQ(list.size(), 2U);
  EXPECT_GT(list[0]["n_prompt"], 1);
  EXPECT_EQ(list[1]["n_depth"], list[0]["n_prompt"]);
  const auto other = rows({model_, "--prompt", "Another text entirely", "-n", "3", "-r", "1"});
  EXPECT_NE(other[1]["token_hash"], list[1]["token_hash"]);
}

TEST_F(Bench, InterleavedRepetitionsAreTheSameRows) {
  const auto list = rows({model_, "-p", "4", "-n", "4", "-r", "3", "--interleave", "--no-warmup"});
  ASSERT_EQ(list.size(), 2U);
  for (const auto& row : list) {
    EXPECT_EQ(row["samples_ts"].size(), 3U);
    EXPECT_EQ(row["same_tokens"], true);
  }
  const auto plain = rows({model_, "-p", "4", "-n", "4", "-r", "1"});
  EXPECT_EQ(column(list, "token_hash"), column(plain, "token_hash"));
}

TEST_F(Bench, SeveralModelsAndFormats) {
  const std::string other = directory_ / "it's";
  testing_support::write_tiny_model(real_file_system(), other, testing_support::tiny_llama());
  const cli::Arguments both = {model_, other, "-p", "4", "-n", "0", "-r", "1", "-o"};
  const auto with = [&](const std::string& format) {
    cli::Arguments arguments = both;
    arguments.push_back(format);
    const cli::ChildResult run = bench(arguments);
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return run.out;
  };
  EXPECT_THAT(with("md"), HasSubstr("| llama "));
  EXPECT_THAT(with("sql"), HasSubstr("it''s'"));
  const std::string lines = with("jsonl");
  EXPECT_EQ(std::ranges::count(lines, '\n'), 2);
}

// A budget that is refused is refused before anything was measured.
TEST_F(Bench, WhatCannotBeOpenedIsRefusedAtOnce) {
  const cli::ChildResult run = bench({model_, "-p", "4", "--budgets", "100%,100KiB", "-o", "text"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(run.err, HasSubstr("memory budget 100 KiB is too small"));
  EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << run.err;
  EXPECT_EQ(bench({model_, directory_ / "none", "-p", "4"}).exit_code, 1);
}

// Ctrl-C ends the process that is measuring, and the rows that were finished are printed.
TEST_F(Bench, AStopPrintsWhatWasFinished) {
  const std::string out = directory_ / "out.md";
  // The second test would take minutes. The shell says its process number and becomes the bench.
  const std::string command = "echo $$; exec '" SWITCHYARD_BINARY "' bench '" + model_ +
                              "' -p 4 -n 300000 -r 1 -o md 2>&1 >'" + out + "'";
  FILE* said = popen(command.c_str(), "r");
  ASSERT_NE(said, nullptr);
  std::string err;
  std::array<char, 256> line{};
  pid_t bench = 0;
  while (fgets(line.data(), line.size(), said) != nullptr) {
    if (bench == 0) bench = static_cast<pid_t>(std::stol(line.data()));
    err += line.data();
    if (std::string_view(line.data()).starts_with("bench: 2/2")) kill(bench, SIGINT);
  }
  const int status = pclose(said);
  EXPECT_EQ(WEXITSTATUS(status), 130) << err;
  EXPECT_THAT(err, HasSubstr("switchyard: stopped"));
  const std::string table = read_file(real_file_system(), out);
  EXPECT_THAT(table, HasSubstr("| pp4 |"));
  EXPECT_EQ(std::ranges::count(table, '\n'), 3) << table;
}

}  // namespace
}  // namespace switchyard::e2e
