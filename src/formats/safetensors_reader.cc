#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "switchyard/error.h"
#include "switchyard/safetensors.h"

#include "base/check.h"
#include "formats/dtype.h"
#include "formats/json.h"
#include "formats/safetensors_header.h"

namespace switchyard {
namespace {

constexpr std::string_view kSingleFile = "model.safetensors";
constexpr std::string_view kIndexFile = "model.safetensors.index.json";
constexpr std::size_t kConvertBytes = 1 << 20;  // converted at a time; fits the L2 cache
constexpr const char* kGetAgain = "get the file again or convert the model again";

std::string join(const std::string& directory, std::string_view name) {
  std::string path = directory;
  if (!path.empty() && path.back() != '/') path += '/';
  return path.append(name);
}

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash + 1);
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

// Shard -> names the index puts into it. Shards are files beside the index: any other path is
// refused.
std::map<std::string, std::vector<std::string>> read_index(FileSystem& fs,
                                                           const std::string& path) {
  const nlohmann::json json = parse_json(read_file(fs, path, kMaxSafetensorsHeader), path);
  const JsonFields fields(json, path);
  const nlohmann::json* weights = fields.get("weight_map");
  if (weights == nullptr || !weights->is_object())
    fields.fail("weight_map", "an object: tensor name to file name");
  std::map<std::string, std::vector<std::string>> shards;
  for (const auto& [name, value] : weights->items()) {
    const std::string where = path + ": tensor " + shown(name);
    if (!value.is_string()) {
      throw Error({.what = "the entry is not a text",
                   .where = where,
                   .expected = "the name of a shard",
                   .fix = kGetAgain});
    }
    const auto& file = value.get_ref<const std::string&>();
    const bool plain = !file.empty() && file != "." && file != ".." &&
                       std::none_of(file.begin(), file.end(), [](unsigned char c) {
                         return c == '/' || c == '\\' || c < 0x20;
                       });
    if (!plain) {
      throw Error({.what = "the shard's name " + shown(file) + " is not a plain file name",
                   .where = where,
                   .expected = "the name of a file beside the index",
                   .fix = "do not use this model; its index is wrong"});
    }
    shards[file].push_back(name);
  }
  if (shards.empty()) fields.fail("weight_map", "at least one tensor");
  return shards;
}

}  // namespace

std::int64_t TensorInfo::elements() const {
  std::int64_t count = 1;
  for (const std::int64_t n : shape) count *= n;
  return count;
}

SafetensorsReader::SafetensorsReader(FileSystem& fs, const std::string& path) {
  std::string file = path;
  if (fs.is_directory(path)) {
    file = join(path, kSingleFile);
    if (!fs.exists(file)) {
      file = join(path, kIndexFile);
      if (!fs.exists(file)) {
        throw Error({.what = "no weights in the directory",
                     .where = path,
                     .expected = std::string(kSingleFile) + " or " + std::string(kIndexFile),
                     .fix = "give a model directory with safetensors weights"});
      }
    }
  }
  if (!file.ends_with(".json")) {
    add_file(fs, file);
    return;
  }
  const std::string directory = directory_of(file);
  for (const auto& [shard, names] : read_index(fs, file)) {
    if (!fs.exists(directory + shard)) {
      throw Error({.what = "the shard " + shown(shard) + " is missing",
                   .where = file + ": tensor " + shown(names.front()),
                   .expected = "every shard of the index beside it",
                   .fix = "get the missing file"});
    }
    add_file(fs, directory + shard);
    for (const std::string& name : names) {
      const auto it = tensors_.find(name);
      if (it == tensors_.end() || it->second.file != paths_.size() - 1) {
        throw Error({.what = "the shard " + shown(shard) + " does not hold the tensor",
                     .where = file + ": tensor " + shown(name),
                     .expected = "the tensor in the shard the index names",
                     .fix = kGetAgain});
      }
    }
  }
}

void SafetensorsReader::add_file(FileSystem& fs, const std::string& path) {
  auto file = fs.open(path);
  const std::uint64_t size = file->size();
  if (size < 8) {
    throw Error({.what = "the file has " + std::to_string(size) + " bytes",
                 .where = path,
                 .expected = "a safetensors file of at least 8 bytes",
                 .fix = kGetAgain});
  }
  std::array<std::byte, 8> length_bytes{};
  file->read(0, length_bytes);
  std::uint64_t length = 0;
  std::memcpy(&length, length_bytes.data(), sizeof length);
  const std::uint64_t limit = std::min(size - 8, kMaxSafetensorsHeader);
  if (length > limit) {
    throw Error({.what = "the header claims " + std::to_string(length) + " bytes",
                 .where = path,
                 .expected = "at most " + std::to_string(limit) +
                             (limit == kMaxSafetensorsHeader ? " bytes, the limit for headers"
                                                             : " bytes, the rest of the file"),
                 .fix = "this is not a safetensors file, or it was cut short; get it again"});
  }
  std::string text(static_cast<std::size_t>(length), '\0');
  file->read(8, std::as_writable_bytes(std::span(text)));
  SafetensorsHeader header = parse_safetensors_header(text, size - 8 - length, path);

  for (TensorInfo& tensor : header.tensors) {
    tensor.file = files_.size();
    tensor.offset += 8 + length;
    const auto [it, inserted] = tensors_.emplace(tensor.name, tensor);
    if (!inserted) {
      throw Error({.what = "the tensor also stands in " + paths_[it->second.file],
                   .where = path + ": tensor " + shown(tensor.name),
                   .expected = "each tensor in one shard",
                   .fix = kGetAgain});
    }
  }
  for (auto& [key, value] : header.metadata) metadata_.emplace(key, value);
  paths_.push_back(path);
  files_.push_back(std::move(file));
}

const TensorInfo& SafetensorsReader::find(std::string_view name,
                                          std::span<const std::int64_t> shape) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) {
    throw Error({.what = "the tensor is missing",
                 .where = (paths_.size() == 1 ? paths_.front()
                                              : directory_of(paths_.front()) + "*.safetensors") +
                          ": tensor " + shown(name),
                 .expected = shape.empty() ? "a tensor of that name" : "shape " + shape_text(shape),
                 .fix = "check that config.json and weights belong together"});
  }
  const TensorInfo& tensor = it->second;
  if (!shape.empty() &&
      !std::equal(shape.begin(), shape.end(), tensor.shape.begin(), tensor.shape.end())) {
    throw Error({.what = "the shape is " + shape_text(tensor.shape),
                 .where = paths_[tensor.file] + ": tensor " + shown(name),
                 .expected = shape_text(shape),
                 .fix = "check that config.json and weights belong together"});
  }
  return tensor;
}

void SafetensorsReader::read(const TensorInfo& tensor, std::span<std::byte> out) const {
  SWITCHYARD_CHECK(tensor.file < files_.size());
  SWITCHYARD_CHECK(out.size() == tensor.bytes);
  if (!out.empty()) files_[tensor.file]->read(tensor.offset, out);
}

std::vector<float> SafetensorsReader::read_f32(std::string_view name,
                                               std::span<const std::int64_t> shape) const {
  const TensorInfo& tensor = find(name, shape);
  if (!is_floating(tensor.dtype)) {
    throw Error({.what = "the dtype is " + std::string(dtype_name(tensor.dtype)),
                 .where = paths_[tensor.file] + ": tensor " + shown(name),
                 .expected = "F32, F16, BF16 or F64",
                 .fix = "convert the model to one of these types"});
  }
  std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
  if (tensor.dtype == DType::f32) {
    read(tensor, std::as_writable_bytes(std::span(values)));
    return values;
  }
  const std::size_t element = dtype_size(tensor.dtype);
  std::vector<std::byte> buffer(
      std::min<std::size_t>(kConvertBytes, static_cast<std::size_t>(tensor.bytes)));
  for (std::size_t done = 0; done < values.size();) {
    const std::size_t count = std::min(values.size() - done, kConvertBytes / element);
    const auto bytes = std::span(buffer).first(count * element);
    files_[tensor.file]->read(tensor.offset + done * element, bytes);
    convert_to_f32(tensor.dtype, bytes, std::span(values).subspan(done, count));
    done += count;
  }
  return values;
}

}  // namespace switchyard
