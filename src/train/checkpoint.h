// Checkpoints: everything a run needs to go on exactly where it was. A checkpoint is a directory
// "step-000000200" whose tensor files are written and synced one by one, each atomically;
// state.json comes last and makes it complete. A crash at any point, a full disk too, leaves the
// checkpoints before it as they were, and a directory without state.json is cleared away by the
// next run.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include <torch/types.h>

#include "switchyard/file_system.h"

#include "train/optimizer.h"

namespace switchyard::train {

// What is not a tensor. Random streams and the data order are functions of (seed, step), so `step`
// is also their position.
struct TrainState {
  std::int64_t step = 0;       // optimizer steps done
  std::uint64_t windows = 0;   // windows taken from the training stream
  double best_loss = 0;        // lowest validation loss; valid once best_step > 0
  std::int64_t best_step = 0;  // 0: no evaluation yet
  int evaluations_since_best = 0;
  double seconds = 0;  // time spent training, over all sessions
  // Sums since the last line of the log, so that a resumed run writes the same line.
  double loss_sum = 0;
  std::int64_t loss_count = 0;
  double flops = 0;                  // of all steps, counted from the experts chosen
  double experts_per_token_sum = 0;  // over all steps
  double last_loss = 0;              // mean cross entropy of the last step
  double last_valid_loss = 0;        // of the last evaluation
  std::uint64_t data_key = 0;        // of the training tokens: a run must not go on with other ones

  bool operator==(const TrainState&) const = default;
};

nlohmann::json to_json(const TrainState& state);
TrainState train_state_from_json(const nlohmann::json& json, const std::string& where);

// "step-000000200"
std::string step_name(std::int64_t step);
// Steps of the complete checkpoints in `directory`, ascending; none if it is not there.
std::vector<std::int64_t> list_steps(FileSystem& fs, const std::string& directory);
// Removes what a crash left half-written.
void remove_unfinished(FileSystem& fs, const std::string& directory);
// Removes all but these.
void keep_steps(FileSystem& fs, const std::string& directory,
                const std::vector<std::int64_t>& steps);

// Tensors that share a file, named without ".safetensors".
struct TensorGroup {
  std::string file;
  std::vector<NamedTensor> tensors;
};
// Writes the checkpoint of state.step below `directory`.
void save_step(FileSystem& fs, const std::string& directory, const TrainState& state,
               const std::vector<TensorGroup>& groups);
// Overwrites the tensors in place. Throws Error naming file and tensor if one is missing or has
// another shape.
void load_tensors(FileSystem& fs, const std::string& file, const std::vector<NamedTensor>& tensors);
TrainState load_state(FileSystem& fs, const std::string& step_directory);

}  // namespace switchyard::train
