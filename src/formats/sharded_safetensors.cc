#include "formats/sharded_safetensors.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "switchyard/safetensors.h"

#include "base/check.h"
#include "base/free_space.h"
#include "formats/gguf/tensor_converter.h"

namespace switchyard {
namespace {

struct Tensor {
  const TensorInfo* info;
  DType dtype;
};

using Shard = std::vector<Tensor>;

std::string shard_name(std::size_t number, std::size_t of) {
  if (of == 1) return "model.safetensors";
  char name[64];
  std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", number + 1, of);
  return name;
}

}  // namespace

void write_safetensors_model(FileSystem& fs, const std::string& directory,
                             const WeightFiles& weights, const ShardOptions& options) {
  std::vector<Shard> shards(1);
  std::uint64_t in_shard = 0;
  std::uint64_t written = 0;  // bytes of all files' tensors
  std::uint64_t total = 0;
  for (const auto& [name, info] : weights.tensors()) {
    if (options.leave_out.contains(name)) continue;
    const DType dtype = options.type_of ? options.type_of(info) : info.dtype;
    const auto bytes = dtype_bytes(dtype, static_cast<std::uint64_t>(info.elements()));
    SWITCHYARD_CHECK(bytes.has_value());
    if (in_shard > 0 && in_shard + *bytes > options.shard_bytes) {
      shards.emplace_back();
      in_shard = 0;
    }
    shards.back().push_back({&info, dtype});
    in_shard += *bytes;
    written += *bytes;
    total += info.bytes;
  }
  require_space(fs, directory + "/model.safetensors", written);

  TensorConverter converter(weights, options.pool);
  std::uint64_t done = 0;
  nlohmann::json weight_map = nlohmann::json::object();
  for (std::size_t n = 0; n < shards.size(); ++n) {
    const std::string name = shard_name(n, shards.size());
    SafetensorsWriter writer;
    for (const auto& [key, value] : options.metadata) writer.set_metadata(key, value);
    for (const Tensor& tensor : shards[n]) {
      weight_map[tensor.info->name] = name;
      writer.add({.name = tensor.info->name,
                  .dtype = tensor.dtype,
                  .shape = tensor.info->shape,
                  .write = [&](AtomicFile& file) {
                    converter.append(file, *tensor.info, {.to = tensor.dtype});
                    done += tensor.info->bytes;
                    if (options.progress) options.progress(done, total);
                  }});
    }
    writer.commit(fs, directory + "/" + name);
  }
  if (shards.size() == 1) return;
  const nlohmann::json index = {{"metadata", {{"total_size", written}}},
                                {"weight_map", std::move(weight_map)}};
  write_file_atomically(fs, directory + "/model.safetensors.index.json", index.dump(2) + "\n");
}

}  // namespace switchyard
