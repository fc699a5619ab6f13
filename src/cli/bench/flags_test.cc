#include "cli/bench/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iostream>

#include "cli/parse.h"
#include "support/errors.h"
#include "support/temporary_directory.h"

namespace switchyard::cli::bench {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Flags as parsed from a command line.
struct Parsed {
  explicit Parsed(const Arguments& arguments) {
    flags.add_to(app);
    Console console{.in = std::cin,
                    .out = std::cout,
                    .err = std::cerr,
                    .stop = {},
                    .files = real_file_system()};
    parse(app, arguments, console);
  }
  std::vector<Job> jobs(int text_tokens = 0) const {
    return flags.jobs(real_file_system(), [&](const std::string&) { return text_tokens; });
  }
  std::vector<std::string> tests(int text_tokens = 0) const {
    std::vector<std::string> names;
    for (const Job& job : jobs(text_tokens)) names.push_back(job.test.name());
    return names;
  }

  CLI::App app;
  Flags flags;
};

TEST(BenchFlags, WithoutAnyItIsLlamaBenchsTwoTests) {
  EXPECT_THAT(Parsed({"m"}).tests(), ElementsAre("pp512", "tg128"));
}

TEST(BenchFlags, ListsMakeTestsAndZeroLeavesThemOut) {
  EXPECT_THAT(Parsed({"m", "-p", "1,2", "-p", "3-4", "-n", "0"}).tests(),
              ElementsAre("pp1", "pp2", "pp3", "pp4"));
  EXPECT_THAT(Parsed({"m", "-p0", "-n", "8"}).tests(), ElementsAre("tg8"));
  EXPECT_THAT(Parsed({"m", "-p", "0", "-n", "0", "-pg", "5,6", "-pg", "7,8"}).tests(),
              ElementsAre("pp5+tg6", "pp7+tg8"));
  EXPECT_THAT(Parsed({"m", "-p", "4", "-n", "2", "-d", "0,9"}).tests(),
              ElementsAre("pp4", "pp4 @ d9", "tg2", "tg2 @ d9"));
}

TEST(BenchFlags, ATextIsThePromptAndWhatGenerationGoesOnFrom) {
  EXPECT_THAT(Parsed({"m", "--prompt", "x"}).tests(13), ElementsAre("pp13", "tg128 @ d13"));
  EXPECT_THAT(Parsed({"m", "--prompt", "x", "-p", "0"}).tests(13), ElementsAre("tg128 @ d13"));
  EXPECT_THAT(Parsed({"m", "--prompt", "x", "-p", "5", "-d", "2"}).tests(13),
              ElementsAre("pp5 @ d2", "tg128 @ d2"));
}

TEST(BenchFlags, EveryCombinationIsAJob) {
  const auto jobs = Parsed({"a", "b", "-m", "c,d", "--budgets", "50%,1GiB", "-t", "1,2", "-b",
                            "16-64*2", "--kernels", "scalar,auto", "-p", "4", "-n", "2"})
                        .jobs();
  EXPECT_EQ(jobs.size(), 4U * 2 * 2 * 3 * 2 * 2);
  std::vector<std::string> models;
  for (const Job& job : jobs) {
    if (models.empty() || models.back() != job.model) models.push_back(job.model);
  }
  EXPECT_EQ(models.size(), 4U);
  EXPECT_EQ(jobs[0].test.name(), "pp4");
  EXPECT_EQ(jobs[1].test.name(), "tg2");
  EXPECT_EQ(jobs[2].batch, 32);
  EXPECT_EQ(jobs[6].threads, 2);
  EXPECT_EQ(jobs[12].kernels, "auto");
  EXPECT_EQ(jobs[24].budget, "1GiB");
}

TEST(BenchFlags, APathMayHoldAComma) {
  const testing_support::TemporaryDirectory directory;
  const std::string path = directory / "a,b";
  write_file_atomically(real_file_system(), path, "x");
  EXPECT_EQ(Parsed({path, "-p", "1", "-n", "0"}).jobs().size(), 1U);
}

TEST(BenchFlags, AWorkerGetsOneOfEachAndAllOtherFlagsOfAModel) {
  const Parsed parsed({"m", "--budgets", "50%", "-t", "2", "-p", "4", "-n", "0", "-d", "3",
                       "--prefetch", "off", "--experts-per-token", "3,4", "--no-warmup"});
  const Job job = parsed.jobs().at(0);
  const Arguments arguments = parsed.flags.worker_arguments(job, 7);
  EXPECT_EQ(arguments.front(), "--worker");
  for (const char* expected :
       {"--model=m", "--mem-budget=50%", "--threads=2", "--batch-size=512", "--kernels=auto",
        "--ctx-size=7", "--prefetch=off", "--experts-per-token=3", "--experts-per-token=4",
        "--n-prompt=4", "--n-gen=0", "--n-depth=3", "--repetitions=7", "--no-warmup"}) {
    EXPECT_THAT(arguments, Contains(expected));
  }
  EXPECT_THAT(arguments, Not(Contains(HasSubstr("--budgets"))));
  EXPECT_EQ(parsed.flags.model_flags(job).context, 7);
  EXPECT_EQ(parsed.flags.model_flags(job).options().expert_share, 0.5);
}

TEST(BenchFlags, OneBudgetIsTheModelsOwnFlag) {
  const Parsed parsed({"m", "--mem-budget", "2GiB"});
  EXPECT_EQ(parsed.jobs().at(0).budget, "2GiB");
  EXPECT_TRUE(parsed.flags.with_budgets());
  EXPECT_FALSE(Parsed({"m"}).flags.with_budgets());
}

TEST(BenchFlags, WrongListsNameTheirFlag) {
  struct Case {
    Arguments arguments;
    const char* where;
  };
  for (const Case& c : {Case{{"m", "-p", "x"}, "--n-prompt"}, Case{{"m", "-n", "1-"}, "--n-gen"},
                        Case{{"m", "-d", "-1"}, "--n-depth"}, Case{{"m", "-t", "a"}, "--threads"},
                        Case{{"m", "-b", "0"}, "--batch-size"}, Case{{"m", "-pg", "1"}, "-pg"},
                        Case{{"m", "-pg", "1,2,3"}, "-pg"}, Case{{"m", "-pg", "0,2"}, "-pg"},
                        Case{{"m", "-p", "0", "-n", "0"}, "-p, -n, -pg"}}) {
    EXPECT_EQ(testing_support::error_of([&] { Parsed(c.arguments).jobs(); }).where, c.where);
  }
}

}  // namespace
}  // namespace switchyard::cli::bench
