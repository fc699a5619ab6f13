// Experts where the model's own files have them.
#include <algorithm>
#include <fmt/core.h>
#include <map>
#include <memory>
#include <utility>

#include "switchyard/error.h"
#include "switchyard/expert_pack.h"
#include "switchyard/model_files.h"

#include "experts/expert_parts.h"
#include "experts/slot_layout.h"

namespace switchyard::experts {
namespace {

void check_usable(const TensorInfo& tensor, const std::string& path) {
  check_expert_dtype(tensor, path);
  const std::size_t alignment = is_quantised(tensor.dtype) ? 2 : dtype_size(tensor.dtype);
  if (tensor.sources || tensor.offset % alignment == 0 || tensor.dtype == DType::mxfp4) return;
  throw Error({.what = fmt::format("the tensor's bytes begin at offset {}", tensor.offset),
               .where = fmt::format("{}: tensor '{}'", path, tensor.name),
               .expected = fmt::format("a multiple of {}, to be used where they are", alignment),
               .fix = "pack the model's experts, which aligns them"});
}

// The files that hold experts, opened for direct reads when the first of them is met.
class Files {
 public:
  Files(FileSystem& fs, const WeightFiles& weights) : fs_(fs), weights_(weights) {}

  Extent extent(const FileRange& range) {
    const auto [entry, fresh] =
        index_.try_emplace(range.file, static_cast<std::uint32_t>(files_.size()));
    if (fresh) files_.push_back(fs_.open(weights_.files().at(range.file), ReadMode::direct));
    return {.file = entry->second, .offset = range.offset, .bytes = range.bytes};
  }

  std::vector<std::shared_ptr<ReadableFile>> take() && { return std::move(files_); }

 private:
  FileSystem& fs_;
  const WeightFiles& weights_;
  std::vector<std::shared_ptr<ReadableFile>> files_;
  std::map<std::size_t, std::uint32_t> index_;  // of the weights' files -> of files_
};

struct OneExpert {
  Slab slab;
  std::vector<Part> parts;
};

OneExpert as_stored(const std::vector<PartShape>& shapes,
                    const std::vector<const TensorInfo*>& tensors, Files& files) {
  OneExpert one;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const TensorInfo& tensor = *tensors[i];
    one.parts.push_back({.name = shapes[i].name,
                         .dtype = tensor.dtype,
                         .shape = shapes[i].shape,
                         .extent = i,
                         .offset = 0,
                         .bytes = tensor.bytes});
    one.slab.extents.push_back(files.extent({tensor.file, tensor.offset, tensor.bytes}));
  }
  return one;
}

// One matrix of an expert that is arranged: which extents it is made of, and where it goes.
struct MadePart {
  std::shared_ptr<const TensorSources> sources;  // null: the extent itself
  std::vector<std::size_t> extents{};
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

void make_parts(const std::vector<MadePart>& parts,
                std::span<const std::span<const std::byte>> extents, std::span<std::byte> out) {
  for (const MadePart& part : parts) {
    std::vector<std::span<const std::byte>> read;
    for (const std::size_t i : part.extents) read.push_back(extents[i]);
    const auto into =
        out.subspan(static_cast<std::size_t>(part.offset), static_cast<std::size_t>(part.bytes));
    if (part.sources) {
      part.sources->make(read, into);
    } else {
      std::ranges::copy(read.front(), into.begin());
    }
  }
}

// Matrices one behind the other, made of ranges that several of them may share.
OneExpert arranged(const std::vector<PartShape>& shapes,
                   const std::vector<const TensorInfo*>& tensors, Files& files) {
  OneExpert one;
  std::vector<MadePart> made;
  const auto extent_of = [&](const FileRange& range) {
    const Extent extent = files.extent(range);
    const auto same = std::ranges::find_if(one.slab.extents, [&](const Extent& other) {
      return other.file == extent.file && other.offset == extent.offset &&
             other.bytes == extent.bytes;
    });
    if (same == one.slab.extents.end()) {
      one.slab.extents.push_back(extent);
      return one.slab.extents.size() - 1;
    }
    return static_cast<std::size_t>(same - one.slab.extents.begin());
  };
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const TensorInfo& tensor = *tensors[i];
    MadePart part{.sources = tensor.sources, .offset = end, .bytes = tensor.bytes};
    if (tensor.sources) {
      for (const FileRange& range : tensor.sources->ranges)
        part.extents.push_back(extent_of(range));
    } else {
      part.extents.push_back(extent_of({tensor.file, tensor.offset, tensor.bytes}));
    }
    one.parts.push_back({.name = shapes[i].name,
                         .dtype = tensor.dtype,
                         .shape = shapes[i].shape,
                         .extent = 0,
                         .offset = part.offset,
                         .bytes = part.bytes});
    // Cannot wrap: a few tensors of files.
    end = (part.offset + part.bytes + kPartAlignment - 1) / kPartAlignment * kPartAlignment;
    made.push_back(std::move(part));
  }
  one.slab.arrangement = std::make_shared<Arrangement>(
      Arrangement{.bytes = end,
                  .make = [made = std::move(made)](
                              std::span<const std::span<const std::byte>> extents,
                              std::span<std::byte> out) { make_parts(made, extents, out); }});
  return one;
}

}  // namespace

ExpertStore open_in_place(FileSystem& fs, const std::string& model_directory,
                          const ModelConfig& config) {
  require_experts(config, model_directory);
  const WeightFiles reader = open_weights(fs, model_directory, config);
  const WeightNames names(config.family);

  Files files(fs, reader);
  ExpertStore result;
  std::vector<std::vector<Slab>> slabs(static_cast<std::size_t>(config.layers));
  result.parts.resize(slabs.size());
  for (int l = 0; l < config.layers; ++l) {
    const auto layer = static_cast<std::size_t>(l);
    for (int e = 0; e < experts_of_layer(config, l); ++e) {
      const std::vector<PartShape> shapes = part_shapes(config, e);
      std::vector<const TensorInfo*> tensors;
      for (const PartShape& shape : shapes) {
        tensors.push_back(&reader.find(names.expert(l, e, shape.name), shape.shape));
        check_usable(*tensors.back(), reader.files().at(tensors.back()->file));
      }
      const bool made = std::ranges::any_of(
          tensors, [](const TensorInfo* tensor) { return tensor->sources != nullptr; });
      OneExpert one = made ? arranged(shapes, tensors, files) : as_stored(shapes, tensors, files);
      slabs[layer].push_back(std::move(one.slab));
      result.parts[layer].push_back(std::move(one.parts));
    }
  }
  result.store = std::make_shared<Store>(std::move(files).take(), std::move(slabs));
  return result;
}

}  // namespace switchyard::experts
