#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <utility>

#include "switchyard/error.h"
#include "switchyard/safetensors.h"

#include "base/check.h"
#include "base/checked_math.h"
#include "base/free_space.h"
#include "formats/json.h"
#include "formats/safetensors_header.h"

namespace switchyard {
namespace {

constexpr std::uint64_t kDataAlignment = 64;  // a cache line, and the widest vector register

std::uint64_t byte_count(const SafetensorsWriter::Item& item) {
  std::uint64_t bytes = dtype_size(item.dtype);
  for (const std::int64_t n : item.shape) {
    SWITCHYARD_CHECK(n >= 0);
    const auto product = checked_multiply(bytes, static_cast<std::uint64_t>(n));
    SWITCHYARD_CHECK(product.has_value());
    bytes = *product;
  }
  return bytes;
}

// A JSON string; throws Error if the text is not UTF-8, which JSON cannot carry.
std::string json_text(const std::string& text, const std::string& path) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    throw Error({.what = "the name or metadata text " + shown(text) + " is not UTF-8",
                 .where = path,
                 .expected = "UTF-8",
                 .fix = "rename it"});
  }
}

}  // namespace

void SafetensorsWriter::add(Item item) { items_.push_back(std::move(item)); }

void SafetensorsWriter::add(std::string name, DType dtype, std::vector<std::int64_t> shape,
                            std::vector<std::byte> bytes) {
  add(Item{.name = std::move(name),
           .dtype = dtype,
           .shape = std::move(shape),
           .write = [bytes = std::move(bytes)](AtomicFile& file) { file.append(bytes); }});
}

void SafetensorsWriter::set_metadata(std::string key, std::string value) {
  metadata_[std::move(key)] = std::move(value);
}

void SafetensorsWriter::commit(FileSystem& fs, const std::string& path) {
  std::sort(items_.begin(), items_.end(), [](const Item& a, const Item& b) {
    const std::size_t size_a = dtype_size(a.dtype);
    const std::size_t size_b = dtype_size(b.dtype);
    return size_a != size_b ? size_a > size_b : a.name < b.name;
  });

  auto metadata = metadata_;
  metadata.emplace("format", "pt");  // readers of the Hugging Face family insist on it
  std::string header = "{\"__metadata__\":{";
  for (const auto& [key, value] : metadata) {
    if (header.back() != '{') header += ',';
    header += json_text(key, path) + ":" + json_text(value, path);
  }
  header += '}';
  std::uint64_t offset = 0;
  std::set<std::string_view> names;
  for (const Item& item : items_) {
    SWITCHYARD_CHECK(item.name != "__metadata__");
    SWITCHYARD_CHECK(names.insert(item.name).second);
    const auto end = checked_add(offset, byte_count(item));
    SWITCHYARD_CHECK(end.has_value());
    header += "," + json_text(item.name, path) + ":{\"dtype\":\"" +
              std::string(dtype_name(item.dtype)) +
              "\",\"shape\":" + nlohmann::json(item.shape).dump() + ",\"data_offsets\":[" +
              std::to_string(offset) + "," + std::to_string(*end) + "]}";
    offset = *end;
  }
  header += '}';
  header.resize(static_cast<std::size_t>(*checked_round_up(header.size() + 8, kDataAlignment)) - 8,
                ' ');
  if (header.size() > kMaxSafetensorsHeader) {
    throw Error({.what = "the header would have " + std::to_string(header.size()) + " bytes",
                 .where = path,
                 .expected = "at most " + std::to_string(kMaxSafetensorsHeader),
                 .fix = "write fewer tensors or shorter metadata into one file"});
  }

  const auto total = checked_add(offset, header.size() + 8);
  SWITCHYARD_CHECK(total.has_value());
  require_space(fs, path, *total);
  AtomicFile file(fs, path);
  const std::uint64_t length = header.size();
  std::array<std::byte, 8> length_bytes{};
  std::memcpy(length_bytes.data(), &length, sizeof length);
  file.append(length_bytes);
  file.append(header);
  for (const Item& item : items_) {
    const std::uint64_t before = file.size();
    item.write(file);
    SWITCHYARD_CHECK(file.size() - before == byte_count(item));
  }
  file.commit();
}

}  // namespace switchyard
