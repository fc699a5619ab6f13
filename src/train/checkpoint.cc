#include "train/checkpoint.h"

#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <torch/types.h>
#include <torch/utils.h>

#include "switchyard/error.h"
#include "switchyard/safetensors.h"

#include "base/check.h"

namespace switchyard::train {
namespace {

constexpr const char* kPrefix = "step-";

DType dtype_of(const torch::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case torch::kFloat32:
      return DType::f32;
    case torch::kBFloat16:
      return DType::bf16;
    case torch::kInt64:
      return DType::i64;
    case torch::kFloat64:
      return DType::f64;
    default:
      break;
  }
  SWITCHYARD_CHECK(false && "a checkpoint holds fp32, bf16, fp64 and int64 tensors");
  return DType::f32;
}

// The file whose presence makes a step directory complete.
std::string marker(const std::string& step_directory) { return step_directory + "/state.json"; }

// The marker goes first: a crash while removing must not leave something that looks complete.
void remove_step(FileSystem& fs, const std::string& step_directory) {
  if (!fs.exists(step_directory)) return;
  fs.remove(marker(step_directory));
  fs.sync_directory(step_directory);
  fs.remove_all(step_directory);
}

std::optional<std::int64_t> step_of(const std::string& name) {
  if (!name.starts_with(kPrefix) || name.size() <= 5 ||
      !std::all_of(name.begin() + 5, name.end(), [](char c) { return c >= '0' && c <= '9'; }) ||
      name.size() > 20) {
    return std::nullopt;
  }
  return std::stoll(name.substr(5));
}

// A value that JSON cannot hold (infinity) never gets here: a non-finite loss stops the run.
template <typename T>
void read_field(const nlohmann::json& json, const char* key, T& out, const std::string& where) {
  try {
    json.at(key).get_to(out);
  } catch (const nlohmann::json::exception&) {
    throw Error({.what = fmt::format("field '{}' is missing or has a wrong type", key),
                 .where = where,
                 .expected = "the state of a checkpoint",
                 .fix = "remove this checkpoint directory to go on from the one before it"});
  }
}

}  // namespace

nlohmann::json to_json(const TrainState& state) {
  return {{"step", state.step},
          {"windows", state.windows},
          {"best_loss", state.best_loss},
          {"best_step", state.best_step},
          {"evaluations_since_best", state.evaluations_since_best},
          {"seconds", state.seconds},
          {"loss_sum", state.loss_sum},
          {"loss_count", state.loss_count},
          {"flops", state.flops},
          {"experts_per_token_sum", state.experts_per_token_sum},
          {"last_loss", state.last_loss},
          {"last_valid_loss", state.last_valid_loss},
          {"data_key", state.data_key}};
}

TrainState train_state_from_json(const nlohmann::json& json, const std::string& where) {
  TrainState state;
  read_field(json, "step", state.step, where);
  read_field(json, "windows", state.windows, where);
  read_field(json, "best_loss", state.best_loss, where);
  read_field(json, "best_step", state.best_step, where);
  read_field(json, "evaluations_since_best", state.evaluations_since_best, where);
  read_field(json, "seconds", state.seconds, where);
  read_field(json, "loss_sum", state.loss_sum, where);
  read_field(json, "loss_count", state.loss_count, where);
  read_field(json, "flops", state.flops, where);
  read_field(json, "experts_per_token_sum", state.experts_per_token_sum, where);
  read_field(json, "last_loss", state.last_loss, where);
  read_field(json, "last_valid_loss", state.last_valid_loss, where);
  read_field(json, "data_key", state.data_key, where);
  return state;
}

std::string step_name(std::int64_t step) { return fmt::format("{}{:09}", kPrefix, step); }

std::vector<std::int64_t> list_steps(FileSystem& fs, const std::string& directory) {
  std::vector<std::int64_t> steps;
  if (!fs.exists(directory)) return steps;
  for (const std::string& name : fs.list(directory)) {
    if (const auto step = step_of(name); step && fs.exists(marker(directory + "/" + name)))
      steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

void remove_unfinished(FileSystem& fs, const std::string& directory) {
  if (!fs.exists(directory)) return;
  for (const std::string& name : fs.list(directory)) {
    const std::string path = directory + "/" + name;
    if (step_of(name) && !fs.exists(marker(path))) fs.remove_all(path);
  }
}

void save_step(FileSystem& fs, const std::string& directory, const TrainState& state,
               const std::vector<TensorGroup>& groups) {
  const std::string target = directory + "/" + step_name(state.step);
  try {
    fs.create_directories(directory);
    remove_step(fs, target);  // left by an earlier life of this run that came as far
    fs.create_directories(target);
    for (const TensorGroup& group : groups) {
      SafetensorsWriter writer;
      for (const NamedTensor& tensor : group.tensors) {
        const torch::Tensor cpu = tensor.value.detach().to(torch::kCPU).contiguous();
        writer.add({.name = tensor.name,
                    .dtype = dtype_of(cpu),
                    .shape = cpu.sizes().vec(),
                    .write = [cpu](AtomicFile& file) {
                      file.append(
                          std::span(static_cast<const std::byte*>(cpu.data_ptr()), cpu.nbytes()));
                    }});
      }
      writer.commit(fs, target + "/" + group.file + ".safetensors");
    }
    fs.sync_directory(directory);
    write_file_atomically(fs, marker(target), to_json(state).dump(2) + "\n");
  } catch (const Error& error) {
    // Make room again; what went wrong is worth more than whether this works too.
    try {
      fs.remove_all(target);
    } catch (const Error&) {
    }
    throw Error({.what = "the checkpoint was not written: " + error.parts().what,
                 .where = error.parts().where.empty() ? target : error.parts().where,
                 .expected = error.parts().expected,
                 .fix = "free space or change the output directory, then go on with --resume; "
                        "earlier checkpoints are "
                        "intact"});
  }
}

void load_tensors(FileSystem& fs, const std::string& file,
                  const std::vector<NamedTensor>& tensors) {
  torch::NoGradGuard no_grad;
  const SafetensorsReader reader(fs, file);
  for (const NamedTensor& tensor : tensors) {
    torch::Tensor target = tensor.value;
    const TensorInfo& info = reader.find(tensor.name, target.sizes().vec());
    torch::Tensor staging =
        torch::empty(target.sizes(), target.options().device(torch::kCPU).requires_grad(false));
    if (info.dtype != dtype_of(staging)) {
      throw Error(
          {.what = fmt::format("tensor '{}' has type {}", tensor.name, dtype_name(info.dtype)),
           .where = file,
           .expected = std::string(dtype_name(dtype_of(staging))),
           .fix = "remove this checkpoint directory to go on from the one before it"});
    }
    reader.read(info, std::span(static_cast<std::byte*>(staging.data_ptr()), staging.nbytes()));
    target.copy_(staging);
  }
}

TrainState load_state(FileSystem& fs, const std::string& step_directory) {
  const std::string path = marker(step_directory);
  const std::string text = read_file(fs, path, 1 << 20);
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  return train_state_from_json(json.is_object() ? json : nlohmann::json::object(), path);
}

void keep_steps(FileSystem& fs, const std::string& directory,
                const std::vector<std::int64_t>& steps) {
  for (const std::int64_t step : list_steps(fs, directory)) {
    if (std::find(steps.begin(), steps.end(), step) == steps.end())
      remove_step(fs, directory + "/" + step_name(step));
  }
}

}  // namespace switchyard::train
