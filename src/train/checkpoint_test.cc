#include "train/checkpoint.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <torch/types.h>

#include "support/errors.h"
#include "support/faulty_file_system.h"
#include "support/memory_file_system.h"

namespace switchyard::train {
namespace {

using testing_support::error_of;
using testing_support::FaultyFileSystem;
using testing_support::MemoryFileSystem;

std::vector<TensorGroup> groups(float value) {
  return {{"model", {{"a", torch::full({3, 4}, value)}, {"n", torch::full({2}, 7, torch::kInt64)}}},
          {"optimizer", {{"a.m", torch::full({3, 4}, -value)}}}};
}

TrainState state_at(std::int64_t step) {
  TrainState state;
  state.step = step;
  state.windows = 17;
  state.best_loss = 0.1 + 0.2;  // not a short decimal
  state.best_step = 3;
  state.data_key = 0xFFFFFFFFFFFFFFF1ULL;
  state.seconds = 1.0 / 3;
  return state;
}

// The value the newest checkpoint holds, after checking that it is whole.
float newest(FileSystem& fs) {
  const std::vector<std::int64_t> steps = list_steps(fs, "run");
  EXPECT_FALSE(steps.empty());
  const std::string directory = "run/" + step_name(steps.back());
  std::vector<TensorGroup> loaded = groups(0);
  for (const TensorGroup& group : loaded)
    load_tensors(fs, directory + "/" + group.file + ".safetensors", group.tensors);
  const float value = loaded[0].tensors[0].value[0][0].item<float>();
  EXPECT_EQ(loaded[1].tensors[0].value[2][3].item<float>(), -value);
  EXPECT_EQ(load_state(fs, directory), state_at(steps.back()));
  return value;
}

TEST(Checkpoint, RoundTripIsExact) {
  MemoryFileSystem fs;
  save_step(fs, "run", state_at(5), groups(0.1F));
  save_step(fs, "run", state_at(1000000000000), groups(0.3F));
  EXPECT_EQ(list_steps(fs, "run"), (std::vector<std::int64_t>{5, 1000000000000}));
  EXPECT_EQ(newest(fs), 0.3F);
}

TEST(Checkpoint, ACrashAtAnyCallKeepsTheOneBefore) {
  int calls = 0;
  {
    MemoryFileSystem memory;
    save_step(memory, "run", state_at(1), groups(1));
    FaultyFileSystem fs(memory);
    save_step(fs, "run", state_at(2), groups(2));
    calls = fs.calls();
  }
  ASSERT_GT(calls, 10);
  for (int n = 0; n <= calls; ++n) {
    MemoryFileSystem memory;
    save_step(memory, "run", state_at(1), groups(1));
    FaultyFileSystem fs(memory);
    fs.halt_after(n);
    bool done = true;
    try {
      save_step(fs, "run", state_at(2), groups(2));
    } catch (const Error&) {
      done = false;
    }
    memory.drop_unsynced();
    const float value = newest(memory);
    EXPECT_TRUE(value == 1.0F || value == 2.0F) << n;
    EXPECT_TRUE(value == 2.0F || !done) << n;
    remove_unfinished(memory, "run");
    save_step(memory, "run", state_at(2), groups(2));
    EXPECT_EQ(newest(memory), 2.0F);
  }
}

TEST(Checkpoint, ACrashWhileReplacingOrPruningNeverLeavesAHalf) {
  for (int n = 0; n < 60; ++n) {
    MemoryFileSystem memory;
    save_step(memory, "run", state_at(1), groups(1));
    save_step(memory, "run", state_at(2), groups(2));
    FaultyFileSystem fs(memory);
    fs.halt_after(n);
    try {
      save_step(fs, "run", state_at(2), groups(3));
      keep_steps(fs, "run", {2});
    } catch (const Error&) {
    }
    memory.drop_unsynced();
    const float value = newest(memory);
    EXPECT_TRUE(value == 1.0F || value == 2.0F || value == 3.0F) << n;
  }
}

TEST(Checkpoint, AFullDiskIsOneLineAndTheOneBeforeStays) {
  for (const std::uint64_t space : {0UL, 100UL, 300UL, 500UL}) {
    MemoryFileSystem memory;
    save_step(memory, "run", state_at(1), groups(1));
    FaultyFileSystem fs(memory);
    fs.limit_space(space);
    const auto parts = error_of([&] { save_step(fs, "run", state_at(2), groups(2)); });
    EXPECT_TRUE(parts.what.starts_with("the checkpoint was not written: ")) << parts.what;
    EXPECT_NE(parts.fix.find("--resume"), std::string::npos);
    EXPECT_EQ(list_steps(memory, "run"), std::vector<std::int64_t>{1});
    EXPECT_FALSE(memory.exists("run/" + step_name(2)));  // what was written so far makes room again
    EXPECT_EQ(newest(memory), 1.0F);
  }
}

TEST(Checkpoint, UnfinishedOnesAreClearedAndStrangersLeft) {
  MemoryFileSystem fs;
  save_step(fs, "run", state_at(1), groups(1));
  fs.put("run/step-000000002/model.safetensors", "half");
  fs.put("run/notes/state.json", "mine");
  fs.put("run/step-x/file", "mine");
  EXPECT_EQ(list_steps(fs, "run"), std::vector<std::int64_t>{1});
  remove_unfinished(fs, "run");
  EXPECT_FALSE(fs.exists("run/step-000000002"));
  EXPECT_TRUE(fs.exists("run/notes/state.json"));
  EXPECT_TRUE(fs.exists("run/step-x/file"));
  EXPECT_TRUE(list_steps(fs, "nowhere").empty());
}

TEST(Checkpoint, DamageNamesFileAndTensor) {
  MemoryFileSystem fs;
  save_step(fs, "run", state_at(1), groups(1));
  const std::string directory = "run/" + step_name(1);
  EXPECT_NE(error_of([&] {
              load_tensors(fs, directory + "/model.safetensors", {{"b", torch::zeros({3, 4})}});
            }).where.find("model.safetensors"),
            std::string::npos);
  EXPECT_EQ(error_of([&] {
              load_tensors(fs, directory + "/model.safetensors", {{"n", torch::zeros({2})}});
            }).what,
            "tensor 'n' has type I64");
  fs.put(directory + "/state.json", "{\"step\": \"x\"}");
  EXPECT_EQ(error_of([&] { load_state(fs, directory); }).what,
            "field 'step' is missing or has a wrong type");
  fs.put(directory + "/state.json", "not JSON");
  EXPECT_EQ(error_of([&] { load_state(fs, directory); }).where, directory + "/state.json");
}

}  // namespace
}  // namespace switchyard::train
