#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "switchyard/error.h"
#include "switchyard/safetensors.h"

#include "formats/json.h"
#include "formats/safetensors_header.h"

namespace switchyard {
namespace {

constexpr std::string_view kSingleFile = "model.safetensors";
constexpr std::string_view kIndexFile = "model.safetensors.index.json";
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

}  // namespace switchyard
