#include "switchyard/error.h"
#include "switchyard/gguf.h"

#include "base/check.h"
#include "formats/gguf/header.h"
#include "formats/gguf/split_name.h"
#include "formats/json.h"

namespace switchyard {
namespace {

constexpr const char* kNumber = "split.no";
constexpr const char* kCount = "split.count";
constexpr const char* kTensors = "split.tensors.count";
constexpr std::int64_t kMaxFiles = 65535;
constexpr const char* kGetAgain = "get all parts again, from one place";

// The other files of the model whose first one has this metadata.
std::vector<std::string> other_files(const GgufMetadata& first, const std::string& path) {
  const auto count = first.integer(kCount, 0, kMaxFiles, 0);
  if (count <= 1) return {};
  const auto number = first.integer(kNumber, 0, kMaxFiles);
  auto name = parse_gguf_split_name(path);
  if (number != 0) {
    std::string fix = "give the first one";
    if (name) {
      name->number = 1;
      fix += ", " + name->path();
    }
    throw Error({.what = "this is part " + std::to_string(number + 1) + " of " +
                         std::to_string(count) + " of a split model",
                 .where = path,
                 .expected = "the first part",
                 .fix = fix});
  }
  if (!name || name->number != 1 || name->count != count) {
    throw Error({.what = "the name of a split model's first file does not say so",
                 .where = path,
                 .expected = GgufSplitName{"<name>", 1, static_cast<int>(count)}.path(),
                 .fix = "give all parts the names they were published under"});
  }
  std::vector<std::string> paths;
  for (name->number = 2; name->number <= name->count; ++name->number) {
    paths.push_back(name->path());
  }
  return paths;
}

void check_part(const GgufMetadata& part, std::size_t number, std::size_t count) {
  const auto check = [&](const char* key, std::size_t expected) {
    if (part.integer(key, 0, kMaxFiles) != static_cast<std::int64_t>(expected)) {
      part.fail(key, std::to_string(expected) + ", as the file's name and the first part say",
                kGetAgain);
    }
  };
  check(kCount, count);
  check(kNumber, number);
}

}  // namespace

std::uint64_t GgufTensor::elements() const {
  std::uint64_t count = 1;
  for (const std::uint64_t n : dims) count *= n;
  return count;
}

GgufReader::GgufReader(FileSystem& fs, const std::string& path) {
  std::uint64_t limit = kMaxGgufHeader;
  const auto add_file = [&](const std::string& file_path) {
    auto file = fs.open(file_path);
    GgufHeader header = read_gguf_header(*file, file_path, limit);
    limit -= header.bytes;
    for (GgufTensor& tensor : header.tensors) {
      tensor.file = paths_.size();
      const auto [it, inserted] = tensors_.emplace(tensor.name, tensor);
      if (!inserted) {
        throw Error({.what = "the tensor also stands in " + paths_[it->second.file],
                     .where = file_path + ": tensor " + shown(tensor.name),
                     .expected = "each tensor in one part",
                     .fix = kGetAgain});
      }
    }
    paths_.push_back(file_path);
    files_.push_back(std::move(file));
    return std::move(header.metadata);
  };

  metadata_ = add_file(path);
  const auto others = other_files(metadata_, path);
  for (const std::string& other : others) {
    if (!fs.exists(other)) {
      throw Error({.what = "part " + std::to_string(paths_.size() + 1) + " of " +
                           std::to_string(others.size() + 1) + " is missing",
                   .where = other,
                   .expected = "every part of the model beside " + path,
                   .fix = "get the missing file"});
    }
    const GgufMetadata part = add_file(other);
    check_part(part, paths_.size() - 1, others.size() + 1);
  }
  if (!others.empty() && metadata_.has(kTensors) &&
      metadata_.integer(kTensors, 0, INT64_MAX) != static_cast<std::int64_t>(tensors_.size())) {
    metadata_.fail(kTensors, std::to_string(tensors_.size()) + ", the tensors of all parts",
                   kGetAgain);
  }
}

const GgufTensor* GgufReader::find(std::string_view name) const {
  const auto it = tensors_.find(name);
  return it == tensors_.end() ? nullptr : &it->second;
}

std::string GgufReader::place(const GgufTensor& tensor) const {
  return paths_[tensor.file] + ": tensor " + shown(tensor.name);
}

void GgufReader::read(const GgufTensor& tensor, std::span<std::byte> out) const {
  SWITCHYARD_CHECK(tensor.file < files_.size() && out.size() == tensor.bytes);
  files_[tensor.file]->read(tensor.offset, out);
}

}  // namespace switchyard
