#include "cli/convert_model.h"

#include <cstring>
#include <nlohmann/json.hpp>

#include "switchyard/error.h"
#include "switchyard/expert_pack.h"

#include "formats/dtype.h"

namespace switchyard::cli {
namespace {

std::vector<std::byte> converted(const SafetensorsReader& tensors, const TensorInfo& tensor,
                                 DType to) {
  std::vector<std::byte> stored(static_cast<std::size_t>(tensor.bytes));
  tensors.read(tensor, stored);
  if (tensor.dtype == to || !is_floating(tensor.dtype)) return stored;
  std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
  convert_to_f32(tensor.dtype, stored, values);
  std::vector<std::byte> out(values.size() * dtype_size(to));
  if (to == DType::f32) {
    std::memcpy(out.data(), values.data(), out.size());
  } else {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::uint16_t bits = f32_to_bf16(values[i]);
      std::memcpy(out.data() + 2 * i, &bits, 2);
    }
  }
  return out;
}

void write_tensors(FileSystem& fs, const SafetensorsReader& tensors, const std::string& path,
                   const ConvertOptions& options) {
  std::uint64_t total = 0;
  for (const auto& [name, tensor] : tensors.tensors()) total += tensor.bytes;
  std::uint64_t done = 0;
  SafetensorsWriter writer;
  for (const auto& [key, value] : tensors.metadata()) writer.set_metadata(key, value);
  for (const auto& entry : tensors.tensors()) {
    const TensorInfo& tensor = entry.second;
    const DType to =
        is_floating(tensor.dtype) ? options.dtype.value_or(tensor.dtype) : tensor.dtype;
    writer.add({.name = tensor.name,
                .dtype = to,
                .shape = tensor.shape,
                .write = [&, to](AtomicFile& file) {
                  file.append(converted(tensors, tensor, to));
                  done += tensor.bytes;
                  if (options.progress) options.progress(done, total);
                }});
  }
  writer.commit(fs, path);
}

// Everything but the weights: config.json with the new type, tokenizer and whatever else lies
// there.
void copy_rest(FileSystem& fs, const std::string& from, const std::string& to,
               const ConvertOptions& options) {
  for (const std::string& name : fs.list(from)) {
    const std::string path = from + "/" + name;
    if (fs.is_directory(path) || name.ends_with(".safetensors") ||
        name.ends_with(".safetensors.index.json") || name == experts::kPackFile) {
      continue;
    }
    std::string content = read_file(fs, path);
    if (name == "config.json" && options.dtype) {
      nlohmann::json config = nlohmann::json::parse(content);
      config["torch_dtype"] = *options.dtype == DType::bf16 ? "bfloat16" : "float32";
      content = config.dump(2) + "\n";
    }
    write_file_atomically(fs, to + "/" + name, content);
  }
}

}  // namespace

void convert_model(FileSystem& fs, const std::string& from, const std::string& to,
                   const ConvertOptions& options) {
  if (fs.exists(to)) {
    throw Error({.what = "the output exists already",
                 .where = to,
                 .expected = "a directory to be made",
                 .fix = "remove it or choose another name"});
  }
  const ModelConfig config = read_model_config(fs, from);
  const SafetensorsReader tensors(fs, from);
  const std::string partial = to + ".partial";
  fs.remove_all(partial);
  fs.create_directories(partial);
  try {
    write_tensors(fs, tensors, partial + "/model.safetensors", options);
    copy_rest(fs, from, partial, options);
    if (options.pack) {
      if (!config.moe) {
        throw Error({.what = "this model has no experts to pack",
                     .where = from,
                     .expected = {},
                     .fix = "leave out --pack"});
      }
      experts::write_pack(fs, partial, config, options.pack_alignment, options.progress);
    }
    fs.sync_directory(partial);
    fs.rename(partial, to);
  } catch (...) {
    fs.remove_all(partial);
    throw;
  }
}

}  // namespace switchyard::cli
