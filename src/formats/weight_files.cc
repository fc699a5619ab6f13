#include "switchyard/weight_files.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "switchyard/error.h"

#include "base/check.h"
#include "formats/dtype.h"
#include "formats/json.h"

namespace switchyard {
namespace {

constexpr std::size_t kConvertBytes = 1 << 20;  // converted at a time; fits the L2 cache

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

// Names all files of a model in few words.
std::string files_text(const std::vector<std::string>& paths) {
  const std::string& first = paths.front();
  if (paths.size() == 1) return first;
  const auto slash = first.rfind('/');
  const auto dot = first.rfind('.');
  return (slash == std::string::npos ? "" : first.substr(0, slash + 1)) + "*" +
         (dot == std::string::npos ? "" : first.substr(dot));
}

}  // namespace

std::int64_t TensorInfo::elements() const {
  std::int64_t count = 1;
  for (const std::int64_t n : shape) count *= n;
  return count;
}

WeightFiles::WeightFiles(std::vector<std::string> paths,
                         std::vector<std::shared_ptr<ReadableFile>> files,
                         std::map<std::string, TensorInfo, std::less<>> tensors)
    : paths_(std::move(paths)), files_(std::move(files)), tensors_(std::move(tensors)) {}

std::string WeightFiles::stored_name(std::string_view name) const {
  const auto it = stored_names_.find(name);
  return it == stored_names_.end() ? std::string(name) : it->second;
}

void WeightFiles::set_origin(std::string description,
                             std::map<std::string, std::string, std::less<>> stored_names) {
  description_ = std::move(description);
  stored_names_ = std::move(stored_names);
}

const TensorInfo& WeightFiles::find(std::string_view name,
                                    std::span<const std::int64_t> shape) const {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) {
    throw Error({.what = "the tensor is missing",
                 .where = files_text(paths_) + ": tensor " + shown(stored_name(name)),
                 .expected = shape.empty() ? "a tensor of that name" : "shape " + shape_text(shape),
                 .fix = "check that " + description_ + " and weights belong together"});
  }
  const TensorInfo& tensor = it->second;
  if (!shape.empty() &&
      !std::equal(shape.begin(), shape.end(), tensor.shape.begin(), tensor.shape.end())) {
    throw Error({.what = "the shape is " + shape_text(tensor.shape),
                 .where = paths_[tensor.file] + ": tensor " + shown(stored_name(name)),
                 .expected = shape_text(shape),
                 .fix = "check that " + description_ + " and weights belong together"});
  }
  return tensor;
}

void WeightFiles::read(const TensorInfo& tensor, std::span<std::byte> out) const {
  SWITCHYARD_CHECK(tensor.file < files_.size());
  SWITCHYARD_CHECK(out.size() == tensor.bytes);
  if (tensor.sources) {
    std::vector<std::vector<std::byte>> stored;
    std::vector<std::span<const std::byte>> spans;
    for (const FileRange& range : tensor.sources->ranges) {
      stored.emplace_back(static_cast<std::size_t>(range.bytes));
      files_.at(range.file)->read(range.offset, stored.back());
      spans.emplace_back(stored.back());
    }
    tensor.sources->make(spans, out);
    return;
  }
  if (!out.empty()) files_[tensor.file]->read(tensor.offset, out);
  order_rows(tensor, out);
}

std::vector<float> WeightFiles::read_f32(std::string_view name,
                                         std::span<const std::int64_t> shape) const {
  const TensorInfo& tensor = find(name, shape);
  if (!is_floating(tensor.dtype) && !is_quantised(tensor.dtype)) {
    throw Error({.what = "the dtype is " + std::string(dtype_name(tensor.dtype)),
                 .where = paths_[tensor.file] + ": tensor " + shown(stored_name(name)),
                 .expected = "F32, F16, BF16, F64 or a quantised type",
                 .fix = "convert the model to one of these types"});
  }
  std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
  if (tensor.dtype == DType::f32) {
    read(tensor, std::as_writable_bytes(std::span(values)));
    return values;
  }
  if (tensor.paired_heads > 0 || tensor.sources) {
    std::vector<std::byte> bytes(static_cast<std::size_t>(tensor.bytes));
    read(tensor, bytes);
    convert_to_f32(tensor.dtype, bytes, values);
    return values;
  }
  const DTypeBlock block = dtype_block(tensor.dtype);
  const std::size_t blocks_at_once = kConvertBytes / block.bytes;
  std::vector<std::byte> buffer(
      std::min<std::size_t>(blocks_at_once * block.bytes, static_cast<std::size_t>(tensor.bytes)));
  for (std::size_t done = 0; done < values.size();) {
    const std::size_t count = std::min(values.size() - done, blocks_at_once * block.elements);
    const auto bytes = std::span(buffer).first(count / block.elements * block.bytes);
    files_[tensor.file]->read(tensor.offset + done / block.elements * block.bytes, bytes);
    convert_to_f32(tensor.dtype, bytes, std::span(values).subspan(done, count));
    done += count;
  }
  return values;
}

void order_rows(const TensorInfo& tensor, std::span<std::byte> bytes) {
  if (tensor.paired_heads == 0) return;
  const auto heads = static_cast<std::size_t>(tensor.paired_heads);
  const auto rows = static_cast<std::size_t>(tensor.shape.at(0));
  SWITCHYARD_CHECK(rows % (2 * heads) == 0 && bytes.size() % rows == 0);
  const std::size_t row_bytes = bytes.size() / rows;
  const std::size_t head_rows = rows / heads;
  std::vector<std::byte> head(head_rows * row_bytes);
  for (std::size_t h = 0; h < heads; ++h) {
    std::byte* const at = bytes.data() + h * head.size();
    std::memcpy(head.data(), at, head.size());
    for (std::size_t stored = 0; stored < head_rows; ++stored) {
      const std::size_t row = stored / 2 + (stored % 2) * (head_rows / 2);
      std::memcpy(at + row * row_bytes, head.data() + stored * row_bytes, row_bytes);
    }
  }
}

}  // namespace switchyard
