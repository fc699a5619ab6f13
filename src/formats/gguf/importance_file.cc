#include "formats/gguf/importance_file.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "switchyard/error.h"
#include "switchyard/gguf.h"
#include "switchyard/model_files.h"

#include "formats/gguf/cursor.h"
#include "formats/json.h"

namespace switchyard {
namespace {

constexpr std::string_view kSquares = ".in_sum2";
constexpr std::string_view kCounts = ".counts";
constexpr const char* kMeasureAgain = "measure it again: switchyard importance MODEL --text FILE";

[[noreturn]] void fail(const std::string& path, std::string_view entry, const std::string& what,
                       const std::string& expected) {
  throw Error({.what = what,
               .where = entry.empty() ? path : path + ": entry " + shown(entry),
               .expected = expected,
               .fix = kMeasureAgain});
}

void check(const std::string& path, std::string_view name, const ImportanceEntry& entry) {
  const auto bad = std::find_if(entry.squares.begin(), entry.squares.end(), [](float v) {
    return !std::isfinite(v) || v < 0;  // a sum of squares is neither
  });
  if (bad != entry.squares.end()) {
    fail(path, name, "a sum of squares is " + std::to_string(*bad), "a finite number, 0 or more");
  }
  for (const float count : entry.counts) {
    if (std::isfinite(count) && (count == 0 || count >= 1)) continue;
    fail(path, name, "a count of tokens is " + std::to_string(count), "0, or 1 and more");
  }
  if (entry.counts.empty() || entry.squares.empty() ||
      entry.squares.size() % entry.counts.size() != 0) {
    fail(path, name,
         std::to_string(entry.squares.size()) + " sums for " + std::to_string(entry.counts.size()) +
             " counts",
         "as many sums for each count");
  }
}

std::vector<float> floats(const GgufReader& gguf, const GgufTensor& tensor) {
  if (find_gguf_tensor_type(tensor.type)->dtype != DType::f32) {
    fail(gguf.metadata().where(), tensor.name,
         "the type is " + std::string(find_gguf_tensor_type(tensor.type)->name), "F32");
  }
  std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
  gguf.read(tensor, std::as_writable_bytes(std::span(values)));
  return values;
}

ImportanceData read_gguf(FileSystem& fs, const std::string& path) {
  const GgufReader gguf(fs, path);
  ImportanceData data{.where = path};
  for (const auto& [name, tensor] : gguf.tensors()) {
    if (!name.ends_with(kSquares)) continue;  // files may hold other statistics
    const std::string matrix = name.substr(0, name.size() - kSquares.size());
    const GgufTensor* counts = gguf.find(matrix + std::string(kCounts));
    if (counts == nullptr) {
      fail(path, matrix, "there are no counts", "a tensor " + shown(matrix + std::string(kCounts)));
    }
    data.entries.emplace(matrix, ImportanceEntry{floats(gguf, tensor), floats(gguf, *counts)});
  }
  constexpr std::int64_t kMost = 0xffffffff;
  const GgufMetadata& keys = gguf.metadata();
  if (keys.has("imatrix.datasets")) data.datasets = keys.texts("imatrix.datasets");
  data.chunks = static_cast<std::uint32_t>(keys.integer("imatrix.chunk_count", 0, kMost, 0));
  data.chunk_size = static_cast<std::uint32_t>(keys.integer("imatrix.chunk_size", 0, kMost, 0));
  return data;
}

// number of entries (i32); of each: length of the name (i32), the name, number of chunks n (i32),
// number of values (i32), the values (f32: n times the mean square). Behind them, if the file goes
// on: number of chunks (i32), length of a text's name (i32), the name.
class OldFile {
 public:
  OldFile(const ReadableFile& file, const std::string& path)
      : path_(path), cursor_(file, path, file.size()) {}

  ImportanceData read() {
    ImportanceData data{.where = path_};
    const std::int32_t entries = take(1, 1 << 20, "the number of entries");
    for (std::int32_t i = 0; i < entries; ++i) {
      cursor_.set_subject("entry " + std::to_string(i));
      std::string name = take_text("the length of a name", 1);
      const auto chunks = static_cast<float>(take(0, 1 << 30, "the number of chunks"));
      ImportanceEntry entry{
          .squares = std::vector<float>(take_values("the number of values", sizeof(float))),
          .counts = {chunks}};
      cursor_.take_bytes(std::as_writable_bytes(std::span(entry.squares)));
      if (!data.entries.emplace(std::move(name), std::move(entry)).second) {
        cursor_.fail("the name stands there twice", "one entry a matrix", kMeasureAgain);
      }
    }
    cursor_.set_subject({});
    if (cursor_.remaining() == 0) return data;
    data.chunks = static_cast<std::uint32_t>(take(0, 1 << 30, "the number of chunks"));
    if (std::string text = take_text("the length of a name", 0); !text.empty()) {
      data.datasets.push_back(std::move(text));
    }
    return data;
  }

 private:
  std::int32_t take(std::int32_t low, std::int32_t high, const std::string& what) {
    const auto value = cursor_.take<std::int32_t>();
    if (value < low || value > high) {
      cursor_.fail(what + " is " + std::to_string(value),
                   std::to_string(low) + " to " + std::to_string(high),
                   "give an importance file: GGUF, or the older imatrix.dat");
    }
    return value;
  }
  // A count of things of `bytes` each that the rest of the file can hold.
  std::size_t take_values(const std::string& what, std::uint64_t bytes, std::int32_t least = 1) {
    const auto count = static_cast<std::uint64_t>(take(least, 0x7fffffff, what));
    if (count > cursor_.remaining() / bytes) {
      cursor_.fail(
          what + " is " + std::to_string(count),
          "at most " + std::to_string(cursor_.remaining() / bytes) + ", the rest of the file",
          "the file was cut short or is no importance file; get it again");
    }
    return static_cast<std::size_t>(count);
  }
  std::string take_text(const std::string& what, std::int32_t least) {
    std::string text(take_values(what, 1, least), '\0');
    cursor_.take_bytes(std::as_writable_bytes(std::span(text)));
    return text;
  }

  const std::string& path_;
  GgufCursor cursor_;
};

}  // namespace

ImportanceData read_importance(FileSystem& fs, const std::string& path) {
  ImportanceData data =
      is_gguf(fs, path) ? read_gguf(fs, path) : OldFile(*fs.open(path), path).read();
  if (data.entries.empty()) {
    fail(path, {}, "the file has no importance of any matrix",
         "tensors whose names end in " + std::string(kSquares));
  }
  for (const auto& [name, entry] : data.entries) check(path, name, entry);
  return data;
}

void write_importance(FileSystem& fs, const std::string& path, const ImportanceData& data) {
  GgufWriter writer;
  writer.set("general.type", std::string("imatrix"));
  writer.set("imatrix.datasets", GgufArray{data.datasets});
  writer.set("imatrix.chunk_count", data.chunks);
  writer.set("imatrix.chunk_size", data.chunk_size);
  for (const auto& item : data.entries) {
    const auto& entry = item.second;
    const auto add = [&](std::string_view suffix, const std::vector<float>& values,
                         std::uint64_t columns) {
      writer.add({.name = item.first + std::string(suffix),
                  .type = *gguf_tensor_type_id(DType::f32),
                  .dims = {columns, entry.counts.size()},
                  .write = [&values](AtomicFile& file) {
                    file.append(std::as_bytes(std::span(values)));
                  }});
    };
    add(kSquares, entry.squares, entry.squares.size() / entry.counts.size());
    add(kCounts, entry.counts, 1);
  }
  writer.commit(fs, path);
}

}  // namespace switchyard
