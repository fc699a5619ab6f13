// Experts where the model's own files have them.
#include <fmt/core.h>
#include <map>

#include "switchyard/error.h"
#include "switchyard/expert_pack.h"
#include "switchyard/model_files.h"

#include "experts/expert_parts.h"

namespace switchyard::experts {
namespace {

void check_usable(const TensorInfo& tensor, const std::string& path) {
  check_expert_dtype(tensor, path);
  const std::size_t alignment = is_quantised(tensor.dtype) ? 2 : dtype_size(tensor.dtype);
  if (tensor.offset % alignment == 0 || tensor.dtype == DType::mxfp4) return;
  throw Error({.what = fmt::format("the tensor's bytes begin at offset {}", tensor.offset),
               .where = fmt::format("{}: tensor '{}'", path, tensor.name),
               .expected = fmt::format("a multiple of {}, to be used where they are", alignment),
               .fix = "pack the model's experts, which aligns them"});
}

}  // namespace

ExpertStore open_in_place(FileSystem& fs, const std::string& model_directory,
                          const ModelConfig& config) {
  require_experts(config, model_directory);
  const WeightFiles reader = open_weights(fs, model_directory, config);
  const WeightNames names(config.family);

  std::vector<std::shared_ptr<ReadableFile>> files;
  std::map<std::size_t, std::uint32_t> file_index;  // of the reader -> of the store
  const auto index_of = [&](std::size_t file) {
    const auto [entry, fresh] =
        file_index.try_emplace(file, static_cast<std::uint32_t>(files.size()));
    if (fresh) files.push_back(fs.open(reader.files().at(file), ReadMode::direct));
    return entry->second;
  };

  ExpertStore result;
  std::vector<std::vector<Slab>> slabs(static_cast<std::size_t>(config.layers));
  result.parts.resize(slabs.size());
  for (int l = 0; l < config.layers; ++l) {
    const auto layer = static_cast<std::size_t>(l);
    for (int e = 0; e < experts_of_layer(config, l); ++e) {
      Slab slab;
      std::vector<Part> parts;
      for (const PartShape& shape : part_shapes(config, e)) {
        const TensorInfo& tensor = reader.find(names.expert(l, e, shape.name), shape.shape);
        check_usable(tensor, reader.files().at(tensor.file));
        parts.push_back({.name = shape.name,
                         .dtype = tensor.dtype,
                         .shape = shape.shape,
                         .extent = slab.extents.size(),
                         .offset = 0,
                         .bytes = tensor.bytes});
        slab.extents.push_back(
            {.file = index_of(tensor.file), .offset = tensor.offset, .bytes = tensor.bytes});
      }
      slabs[layer].push_back(std::move(slab));
      result.parts[layer].push_back(std::move(parts));
    }
  }
  result.store = std::make_shared<Store>(std::move(files), std::move(slabs));
  return result;
}

}  // namespace switchyard::experts
