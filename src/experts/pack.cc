// experts.swpack: opening and writing.
#include <algorithm>
#include <fmt/core.h>

#include "switchyard/error.h"
#include "switchyard/expert_pack.h"
#include "switchyard/model_files.h"

#include "base/check.h"
#include "base/checked_math.h"
#include "experts/checksum.h"
#include "experts/expert_parts.h"
#include "experts/pack_header.h"
#include "experts/slot_layout.h"

namespace switchyard::experts {
namespace {

constexpr std::uint64_t kSampleBytes = 4096;

bool has_safetensors(FileSystem& fs, const std::string& directory) {
  return fs.exists(join_path(directory, "model.safetensors")) ||
         fs.exists(join_path(directory, "model.safetensors.index.json"));
}

// A model that was trained on or replaced after packing has other weights in every matrix: the
// first page of one expert a layer tells. A model whose experts are only in the pack has nothing to
// compare.
void check_same_weights(FileSystem& fs, const std::string& directory, const ModelConfig& config,
                        const ExpertStore& pack, const ReadableFile& file) {
  if (!has_safetensors(fs, directory)) return;
  const WeightFiles reader = open_weights(fs, directory, config);
  const WeightNames names(config.family);
  for (int l = 0; l < config.layers; ++l) {
    const auto layer = static_cast<std::size_t>(l);
    if (pack.parts[layer].empty()) continue;
    const Part& part = pack.parts[layer][0][0];
    const std::string name = names.expert(l, 0, part.name);
    if (!reader.has(name)) continue;
    const TensorInfo& tensor = reader.find(name, part.shape);
    const auto sample = static_cast<std::size_t>(std::min(kSampleBytes, part.bytes));
    std::vector<std::byte> packed(sample);
    std::vector<std::byte> original(sample);
    if (tensor.dtype == part.dtype) {
      const Slab& slab = pack.store->slab({static_cast<std::uint32_t>(l), 0});
      file.read(slab.extents[0].offset + part.offset, packed);
      if (tensor.sources) {
        std::vector<std::byte> whole(static_cast<std::size_t>(tensor.bytes));
        reader.read(tensor, whole);
        std::copy_n(whole.begin(), sample, original.begin());
      } else {
        fs.open(reader.files().at(tensor.file))->read(tensor.offset, original);
      }
    }
    if (tensor.dtype != part.dtype || packed != original) {
      throw Error(
          {.what = "the pack holds other weights than the model",
           .where = fmt::format("{}: layer {}, expert 0", file.path(), l),
           .expected = fmt::format("those of '{}' in {}", name, reader.files().at(tensor.file)),
           .fix = "remove the pack, or pack the model again"});
    }
  }
}

class PackWriter {
 public:
  PackWriter(FileSystem& fs, const std::string& directory, const ModelConfig& config,
             std::uint64_t alignment,
             const std::function<void(std::uint64_t, std::uint64_t)>& progress)
      : fs_(fs),
        path_(join_path(directory, kPackFile)),
        config_(config),
        reader_(open_weights(fs, directory, config)),
        names_(config.family),
        progress_(progress) {
    header_.alignment = alignment;
    header_.layers = config.layers;
    for (const std::string& file : reader_.files()) {
      header_.source.push_back(file.substr(file.rfind('/') + 1));
    }
  }

  // The header stands before the slabs and holds their checksums, so the weights are read twice.
  void write() {
    plan();
    std::uint64_t total = 0;
    for (const PackedSlab& slab : header_.slabs) total += 2 * slab.bytes;
    std::uint64_t done = 0;
    const auto advance = [&](const PackedSlab& slab) {
      done += slab.bytes;
      if (progress_) progress_(done, total);
    };
    for (PackedSlab& slab : header_.slabs) {
      slab.checksum = checksum_of(read(slab));
      advance(slab);
    }

    AtomicFile out(fs_, path_);
    const std::string text = print_pack_header(header_);
    std::string prefix(kPackMagic);
    for (std::size_t i = 0; i < 8; ++i) {
      prefix += static_cast<char>((text.size() >> (8 * i)) & 0xFF);
    }
    out.append(prefix);
    out.append(text);
    pad(out, kPackPrefix + text.size());
    for (const PackedSlab& slab : header_.slabs) {
      const auto bytes = read(slab);
      if (checksum_of(bytes) != slab.checksum) {
        throw Error(
            {.what = "the model's weights changed while they were packed",
             .where = fmt::format("{}: layer {}, expert {}", path_, slab.id.layer, slab.id.expert),
             .expected = {},
             .fix = "pack the model when nothing writes to it"});
      }
      out.append(bytes);
      pad(out, slab.bytes);
      advance(slab);
    }
    out.commit();
  }

 private:
  void plan() {
    for (int l = 0; l < config_.layers; ++l) {
      for (int e = 0; e < experts_of_layer(config_, l); ++e) {
        PackedSlab slab{.id = {static_cast<std::uint32_t>(l), static_cast<std::uint32_t>(e)}};
        for (const PartShape& shape : part_shapes(config_, e)) {
          const TensorInfo& tensor = reader_.find(names_.expert(l, e, shape.name), shape.shape);
          check_expert_dtype(tensor, reader_.files().at(tensor.file));
          slab.parts.push_back({.name = shape.name,
                                .dtype = tensor.dtype,
                                .shape = shape.shape,
                                .extent = 0,
                                .offset = round_up(slab.bytes, kPartAlignment),
                                .bytes = tensor.bytes});
          slab.bytes = slab.parts.back().offset + tensor.bytes;
        }
        header_.slabs.push_back(std::move(slab));
      }
    }
    set_offsets();
  }

  // Offsets depend on the header's length, which depends on how many digits the offsets have: start
  // from the shortest header and go on until nothing changes. Offsets only grow, so it ends.
  void set_offsets() {
    for (;;) {
      std::uint64_t offset = pack_data_begin(print_pack_header(header_).size(), header_.alignment);
      bool changed = false;
      for (PackedSlab& slab : header_.slabs) {
        changed = changed || slab.offset != offset;
        slab.offset = offset;
        offset = round_up(offset + slab.bytes, header_.alignment);
      }
      if (!changed) return;
    }
  }

  static std::uint64_t round_up(std::uint64_t value, std::uint64_t alignment) {
    const auto rounded = checked_round_up(value, alignment);
    SWITCHYARD_CHECK(rounded.has_value());  // sizes of tensors that are in files
    return *rounded;
  }

  // The slab's bytes as they stand in the pack.
  std::vector<std::byte> read(const PackedSlab& slab) const {
    std::vector<std::byte> bytes(slab.bytes);
    for (const Part& part : slab.parts) {
      const TensorInfo& tensor =
          reader_.find(names_.expert(static_cast<int>(slab.id.layer),
                                     static_cast<int>(slab.id.expert), part.name),
                       part.shape);
      reader_.read(tensor, std::span(bytes).subspan(part.offset, part.bytes));
    }
    return bytes;
  }

  void pad(AtomicFile& out, std::uint64_t bytes_before) const {
    const std::uint64_t padding = round_up(bytes_before, header_.alignment) - bytes_before;
    out.append(std::vector<std::byte>(padding));
  }

  FileSystem& fs_;
  std::string path_;
  const ModelConfig& config_;
  WeightFiles reader_;
  WeightNames names_;
  const std::function<void(std::uint64_t, std::uint64_t)>& progress_;
  PackHeader header_;
};

}  // namespace

ExpertStore open_packed(FileSystem& fs, const std::string& model_directory,
                        const ModelConfig& config) {
  require_experts(config, model_directory);
  const std::string path = join_path(model_directory, kPackFile);
  const auto file = fs.open(path);
  ExpertStore pack = open_pack_file(*file, fs.open(path, ReadMode::direct), config);
  check_same_weights(fs, model_directory, config, pack, *file);
  return pack;
}

ExpertStore open_experts(FileSystem& fs, const std::string& model_directory,
                         const ModelConfig& config) {
  if (fs.exists(join_path(model_directory, kPackFile))) {
    return open_packed(fs, model_directory, config);
  }
  return open_in_place(fs, model_directory, config);
}

void write_pack(FileSystem& fs, const std::string& model_directory, const ModelConfig& config,
                std::uint64_t alignment,
                const std::function<void(std::uint64_t done, std::uint64_t total)>& progress) {
  require_experts(config, model_directory);
  if (!is_pack_alignment(alignment)) {
    throw Error({.what = fmt::format("the alignment is {}", alignment),
                 .where = join_path(model_directory, kPackFile),
                 .expected = kPackAlignments,
                 .fix = {}});
  }
  PackWriter(fs, model_directory, config, alignment, progress).write();
}

}  // namespace switchyard::experts
