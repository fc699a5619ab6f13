// The built binary as a process: start, memory as the kernel counts it, the bench, signals.
#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/child_process.h"
#include "cli/memory_group.h"
#include "support/temporary_directory.h"
#include "support/tiny_model.h"

namespace switchyard::e2e {
namespace {

using ::testing::HasSubstr;

cli::ChildResult run_binary(const cli::Arguments& arguments, const std::string& join_file = {}) {
  return cli::run_program(SWITCHYARD_BINARY, arguments, join_file);
}

// A sanitizer's own memory is many times the program's: the tokens are compared under larger
// budgets then, the peak is not.
#ifdef SWITCHYARD_SANITIZED
constexpr bool kMemoryCounts = false;
constexpr std::uint64_t kScale = 32;
#else
constexpr bool kMemoryCounts = true;
constexpr std::uint64_t kScale = 1;
#endif

// 45 MiB of experts: large against what a process needs to start.
ModelConfig large_enough() {
  ModelConfig config = testing_support::tiny_olmoe();
  config.width = 256;
  config.heads = 4;
  config.kv_heads = 4;
  config.head_dim = 64;
  config.layers = 4;
  config.layer_is_moe.assign(4, true);
  config.moe->expert.hidden = 480;
  config.moe->router.experts = 16;
  config.moe->router.experts_per_token = 4;
  return config;
}

TEST(Binary, PeakMemoryStaysWithinTheBudgetAndTheTokensStayTheSame) {
  const testing_support::TemporaryDirectory directory;
  const std::string model = directory / "model";
  testing_support::write_tiny_model(real_file_system(), model, large_enough(), 3, DType::bf16);
  std::string hash;
  for (const std::uint64_t mebibytes : {48, 64, 256}) {
    const std::uint64_t budget = kScale * mebibytes << 20;
    cli::MemoryGroup group;
    const cli::ChildResult run =
        run_binary({"bench", "--worker", model, "--n-prompt", "40", "--n-gen", "20",
                    "--repetitions", "1", "--mem-budget", std::to_string(budget)},
                   group.join_file());
    ASSERT_EQ(run.exit_code, 0) << run.err;
    const auto result = nlohmann::json::parse(run.out);
    // The kernel's count where this process may make control groups, else its count of resident
    // pages.
    const std::uint64_t peak = group.peak().value_or(run.peak_resident);
    if (kMemoryCounts) {
      EXPECT_LE(static_cast<double>(peak), 1.02 * static_cast<double>(budget))
          << "peak " << peak << " of " << budget;
    }
    const std::string tokens = result["token_hash"].dump();
    if (hash.empty()) hash = tokens;
    EXPECT_EQ(tokens, hash);
  }
}

TEST(Binary, AFullDiskIsOneLine) {
  const testing_support::TemporaryDirectory directory;
  const std::string model = directory / "model";
  testing_support::write_tiny_model(real_file_system(), model, testing_support::tiny_mixtral());
  const cli::ChildResult run =
      run_binary({"logits", model, "--tokens", "1,2", "-o", "/dev/full/logits.npy"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("/dev/full"));
  EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << run.err;
}

}  // namespace
}  // namespace switchyard::e2e
