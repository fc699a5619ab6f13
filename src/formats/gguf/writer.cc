#include <algorithm>
#include <bit>
#include <set>
#include <type_traits>

#include "switchyard/error.h"
#include "switchyard/gguf.h"

#include "base/check.h"
#include "base/checked_math.h"
#include "base/free_space.h"

namespace switchyard {
namespace {

constexpr const char* kAlignment = "general.alignment";
constexpr std::uint32_t kDefaultAlignment = 32;
constexpr std::uint32_t kVersion = 3;

// Numbers and texts as the format has them.
class Buffer {
 public:
  template <typename T>
  void put(T value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void put_text(std::string_view text) {
    put<std::uint64_t>(text.size());
    const auto bytes = std::as_bytes(std::span(text));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void put_array(const GgufArray& array) {
    put(static_cast<std::uint32_t>(array.element_type()));
    std::visit(
        [this](const auto& values) {
          using T = typename std::decay_t<decltype(values)>::value_type;
          put<std::uint64_t>(values.size());
          for (const auto& value : values) put_element<T>(value);
        },
        array.values);
  }
  void put_value(const GgufValue& value) {
    put(static_cast<std::uint32_t>(gguf_type(value)));
    std::visit([this](const auto& v) { put_element<std::decay_t<decltype(v)>>(v); }, value);
  }
  void pad_to(std::uint64_t alignment) {
    bytes_.resize(static_cast<std::size_t>(*checked_round_up(bytes_.size(), alignment)));
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  template <typename T>
  void put_element(const T& value) {
    if constexpr (std::is_same_v<T, std::string>) {
      put_text(value);
    } else if constexpr (std::is_same_v<T, GgufArray>) {
      put_array(value);
    } else if constexpr (std::is_same_v<T, bool>) {
      put(static_cast<std::uint8_t>(value ? 1 : 0));
    } else {
      put(value);
    }
  }

  std::vector<std::byte> bytes_;
};

std::uint64_t byte_count(const GgufWriter::Item& item) {
  const GgufTensorType* type = find_gguf_tensor_type(item.type);
  SWITCHYARD_CHECK(type != nullptr);
  SWITCHYARD_CHECK(!item.dims.empty() && item.dims.size() <= 4);
  SWITCHYARD_CHECK(item.dims.front() % type->elements == 0);
  auto bytes = checked_multiply(item.dims.front() / type->elements, type->bytes);
  if (bytes) bytes = checked_add(*bytes, type->row_bytes);
  for (std::size_t d = 1; bytes && d < item.dims.size(); ++d) {
    bytes = checked_multiply(*bytes, item.dims[d]);
  }
  SWITCHYARD_CHECK(bytes && *bytes > 0);
  return *bytes;
}

void append_zeros(AtomicFile& file, std::uint64_t count) {
  static constexpr std::byte kZeros[4096] = {};
  for (; count > 0; count -= std::min<std::uint64_t>(count, sizeof kZeros)) {
    file.append(std::span(kZeros).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(count, sizeof kZeros))));
  }
}

}  // namespace

GgufWriter::GgufWriter(std::uint32_t alignment) : alignment_(alignment) {
  if (!std::has_single_bit(alignment) || alignment < 8 || alignment > (1U << 30)) {
    throw Error({.what = "alignment " + std::to_string(alignment),
                 .where = "GGUF writer",
                 .expected = "a power of two from 8 to 2^30",
                 .fix = "use 32, or 4096 for reads past the page cache"});
  }
}

void GgufWriter::set(std::string key, GgufValue value) {
  SWITCHYARD_CHECK(!key.empty() && key != kAlignment);
  for (auto& [name, old] : values_) {
    if (name == key) {
      old = std::move(value);
      return;
    }
  }
  values_.emplace_back(std::move(key), std::move(value));
}

void GgufWriter::add(Item item) { items_.push_back(std::move(item)); }

void GgufWriter::add(std::string name, DType dtype, std::vector<std::uint64_t> dims,
                     std::vector<std::byte> bytes) {
  const auto type = gguf_tensor_type_id(dtype);
  SWITCHYARD_CHECK(type.has_value());
  add(Item{.name = std::move(name),
           .type = *type,
           .dims = std::move(dims),
           .write = [bytes = std::move(bytes)](AtomicFile& file) { file.append(bytes); }});
}

void GgufWriter::commit(FileSystem& fs, const std::string& path) {
  const bool other_alignment = alignment_ != kDefaultAlignment;
  Buffer header;
  header.put('G');
  header.put('G');
  header.put('U');
  header.put('F');
  header.put(kVersion);
  header.put<std::uint64_t>(items_.size());
  header.put<std::uint64_t>(values_.size() + (other_alignment ? 1 : 0));
  for (const auto& [key, value] : values_) {
    header.put_text(key);
    header.put_value(value);
  }
  if (other_alignment) {
    header.put_text(kAlignment);
    header.put_value(alignment_);
  }
  std::uint64_t offset = 0;
  std::set<std::string_view> names;
  for (const Item& item : items_) {
    SWITCHYARD_CHECK(!item.name.empty() && names.insert(item.name).second);
    header.put_text(item.name);
    header.put(static_cast<std::uint32_t>(item.dims.size()));
    for (const std::uint64_t n : item.dims) header.put(n);
    header.put(item.type);
    header.put(offset);
    const auto end = checked_add(offset, byte_count(item));
    const auto next = end ? checked_round_up(*end, alignment_) : end;
    SWITCHYARD_CHECK(next.has_value());
    offset = *next;
  }
  header.pad_to(alignment_);
  const auto total = checked_add(offset, header.bytes().size());
  SWITCHYARD_CHECK(total.has_value());

  require_space(fs, path, *total);
  AtomicFile file(fs, path);
  file.append(header.bytes());
  for (const Item& item : items_) {
    const std::uint64_t before = file.size();
    item.write(file);
    SWITCHYARD_CHECK(file.size() - before == byte_count(item));
    append_zeros(file, *checked_round_up(file.size(), alignment_) - file.size());
  }
  file.commit();
}

}  // namespace switchyard
