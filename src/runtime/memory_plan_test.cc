// The plan made without the weights, against what the ledger says once the model is open.
#include "runtime/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "switchyard/model_files.h"

#include "formats/gguf/gguf_model.h"
#include "support/errors.h"
#include "support/temporary_directory.h"
#include "support/tiny_model.h"

namespace switchyard::runtime {
namespace {

using ::testing::HasSubstr;
using testing_support::error_of;

// The process grows a little between the two measurements of it.
constexpr double kProcessGrowth = 32 << 20;

struct PlanCase {
  const char* name;
  ModelConfig config;
  ModelOptions options;
};

class MemoryPlanTest : public ::testing::Test {
 protected:
  std::string write(const ModelConfig& config) {
    const std::string path = directory_ / "model";
    testing_support::write_tiny_model(fs_, path, config);
    return path;
  }

  FileSystem& fs_ = real_file_system();
  testing_support::TemporaryDirectory directory_;
};

void expect_plan_is_what_is_booked(const std::string& path, const ModelOptions& options) {
  const MemoryPlan plan = plan_model(real_file_system(), path, options);
  const auto model = Model::open(real_file_system(), path, options);
  Engine engine(model, {.threads = 1});
  std::vector<Session> sessions;
  for (int i = 0; i < options.max_sessions; ++i) sessions.push_back(engine.new_session());
  const Ledger& ledger = model->ledger();
  EXPECT_EQ(ledger.held(Purpose::dense_weights), plan.dense_weights);
  EXPECT_EQ(ledger.held(Purpose::kv_cache), plan.kv_cache);
  EXPECT_EQ(ledger.held(Purpose::scratch), plan.scratch);
  EXPECT_EQ(ledger.held(Purpose::io_buffers), 0U);
  EXPECT_NEAR(static_cast<double>(ledger.held(Purpose::process)), static_cast<double>(plan.process),
              kProcessGrowth);
  EXPECT_EQ(ledger.held(Purpose::expert_slots), plan.experts);
  EXPECT_EQ(ledger.total() - ledger.held(Purpose::process), plan.total() - plan.process);
  EXPECT_EQ(plan.sessions, options.max_sessions);
  EXPECT_LE(plan.floor, plan.total());
}

TEST_F(MemoryPlanTest, IsWhatTheLedgerSaysAfterOpening) {
  const PlanCase cases[] = {
      {"dense", testing_support::tiny_llama(), {}},
      {"experts", testing_support::tiny_mixtral(), {}},
      {"share", testing_support::tiny_mixtral(), {.expert_share = 0.25}},
      {"shorter", testing_support::tiny_olmoe(), {.session_tokens = 32, .max_batch_tokens = 8}},
      {"sessions", testing_support::tiny_qwen2_moe(), {.max_sessions = 3, .session_tokens = 48}},
      {"latent", testing_support::tiny_deepseek_v2(), {.max_batch_tokens = 16}},
      {"recurrent", testing_support::tiny_recurrent(), {}}};
  for (const PlanCase& c : cases) {
    SCOPED_TRACE(c.name);
    const std::string path = write(c.config);
    expect_plan_is_what_is_booked(path, c.options);
    const std::string gguf = directory_ / "model.gguf";
    if (c.config.family == Family::switchyard) continue;
    write_gguf(fs_, gguf, c.config, open_weights(fs_, path, c.config), {});
    expect_plan_is_what_is_booked(gguf, c.options);
  }
}

// The slots get what is left of a budget, whatever the process takes.
TEST_F(MemoryPlanTest, ABudgetIsUsedUp) {
  ModelConfig config = testing_support::tiny_olmoe();
  config.moe->expert.hidden = 4096;  // 8 x 2 experts of 1.5 MiB
  const std::string path = write(config);
  const MemoryPlan all = plan_model(fs_, path, {});
  const MemoryPlan plan = plan_model(
      fs_, path, {.memory_budget = all.floor + (std::uint64_t{8} << 20), .max_batch_tokens = 1});
  EXPECT_EQ(plan.total(), all.floor + (std::uint64_t{8} << 20));
  EXPECT_LT(plan.experts, plan.full_experts);
  EXPECT_EQ(all.experts, all.full_experts);
}

TEST_F(MemoryPlanTest, TheFloorIsTheLeastBudgetThatIsNotRefused) {
  const ModelConfig config = testing_support::tiny_mixtral();
  const ExpertNeeds experts{.floor = 5000, .full = 80000};
  const std::uint64_t floor = plan_memory(config, {}, 1 << 20, 2 << 20, experts, false).floor;
  EXPECT_EQ(plan_memory(config, {.memory_budget = floor}, 1 << 20, 2 << 20, experts, false).total(),
            floor);
  const Error::Parts error = error_of([&] {
    static_cast<void>(
        plan_memory(config, {.memory_budget = floor - 1}, 1 << 20, 2 << 20, experts, false));
  });
  EXPECT_THAT(error.what, HasSubstr("too small for this model"));
}

}  // namespace
}  // namespace switchyard::runtime
