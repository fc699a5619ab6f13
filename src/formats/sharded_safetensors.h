// The weights of a model as one safetensors file or, if they are many bytes, as several with an
// index, as Hugging Face has them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "switchyard/dtype.h"
#include "switchyard/file_system.h"
#include "switchyard/thread_pool.h"
#include "switchyard/weight_files.h"

namespace switchyard {

struct ShardOptions {
  std::function<DType(const TensorInfo& tensor)> type_of{};  // null: as it is stored
  std::set<std::string> leave_out{};                   // names of tensors that are not written
  std::uint64_t shard_bytes = std::uint64_t{4} << 30;  // a file holds more only for a larger tensor
  std::map<std::string, std::string> metadata{};       // of every file
  ThreadPool* pool = nullptr;                          // converts; null: the calling thread
  // Source bytes of the tensors written so far.
  std::function<void(std::uint64_t done, std::uint64_t total)> progress{};
};

// Writes model.safetensors, or model-00001-of-0000N.safetensors and model.safetensors.index.json,
// each file atomically and a piece at a time; nothing if the disk has no room for all. The same
// arguments make the same bytes, whatever the pool. Throws Error as TensorConverter does.
void write_safetensors_model(FileSystem& fs, const std::string& directory,
                             const WeightFiles& weights, const ShardOptions& options = {});

}  // namespace switchyard
