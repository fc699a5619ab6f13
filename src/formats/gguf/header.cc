#include "formats/gguf/header.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <set>
#include <string_view>
#include <type_traits>
#include <utility>

#include "switchyard/error.h"

#include "base/check.h"
#include "base/checked_math.h"
#include "formats/gguf/cursor.h"
#include "formats/json.h"

namespace switchyard {
namespace {

constexpr std::uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr std::uint64_t kMaxName = 65535;     // of a key, as the format says, and of a tensor
constexpr std::uint64_t kMaxText = kMaxGgufHeader;
constexpr std::uint32_t kMaxDims = 4;
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr const char* kGetAgain = "get the file again or convert the model again";

// Bytes that a key, a text, an array and a tensor take at least.
constexpr std::uint64_t kLeastKey = 8 + 1 + 4 + 1;
constexpr std::uint64_t kLeastText = 8;
constexpr std::uint64_t kLeastArray = 4 + 8;
constexpr std::uint64_t kLeastTensor = 8 + 1 + 4 + 8 + 4 + 8;

GgufType take_type(GgufCursor& cursor) {
  const auto type = cursor.take<std::uint32_t>();
  if (type >= std::variant_size_v<GgufValue>) {
    cursor.fail("value type " + std::to_string(type) + " is unknown", "a type from 0 to 12");
  }
  return static_cast<GgufType>(type);
}

bool take_bool(GgufCursor& cursor) {
  const auto byte = cursor.take<std::uint8_t>();
  if (byte > 1) cursor.fail("a truth value is " + std::to_string(byte), "0 or 1");
  return byte == 1;
}

GgufArray take_array(GgufCursor& cursor, int depth);

template <typename T>
std::vector<T> take_elements(GgufCursor& cursor, int depth) {
  std::vector<T> out;
  if constexpr (std::is_same_v<T, std::string>) {
    const std::size_t count = cursor.take_count(kLeastText, "texts");
    out.reserve(count);
    for (std::size_t i = 0; i < count; ++i) out.push_back(cursor.take_text(kMaxText));
  } else if constexpr (std::is_same_v<T, GgufArray>) {
    const std::size_t count = cursor.take_count(kLeastArray, "arrays");
    out.reserve(count);
    for (std::size_t i = 0; i < count; ++i) out.push_back(take_array(cursor, depth + 1));
  } else if constexpr (std::is_same_v<T, bool>) {
    const std::size_t count = cursor.take_count(1, "truth values");
    out.reserve(count);
    for (std::size_t i = 0; i < count; ++i) out.push_back(take_bool(cursor));
  } else {
    out.resize(cursor.take_count(sizeof(T), "numbers"));
    cursor.take_bytes(std::as_writable_bytes(std::span(out)));
  }
  return out;
}

// Reads the alternative of GgufArray::values that has number `type`.
template <std::size_t i = 0>
void take_alternative(GgufCursor& cursor, int depth, std::size_t type, GgufArray& out) {
  if constexpr (i < std::variant_size_v<decltype(out.values)>) {
    if (type != i) return take_alternative<i + 1>(cursor, depth, type, out);
    using Vector = std::variant_alternative_t<i, decltype(out.values)>;
    out.values = take_elements<typename Vector::value_type>(cursor, depth);
  }
}

GgufArray take_array(GgufCursor& cursor, int depth) {
  if (depth > kMaxGgufNesting) {
    cursor.fail("arrays nest too deep", "at most " + std::to_string(kMaxGgufNesting) + " levels");
  }
  GgufArray out;
  take_alternative(cursor, depth, static_cast<std::size_t>(take_type(cursor)), out);
  return out;
}

template <std::size_t i = 0>
GgufValue take_value(GgufCursor& cursor, std::size_t type) {
  if constexpr (i < std::variant_size_v<GgufValue>) {
    if (type != i) return take_value<i + 1>(cursor, type);
    using T = std::variant_alternative_t<i, GgufValue>;
    if constexpr (std::is_same_v<T, std::string>) {
      return cursor.take_text(kMaxText);
    } else if constexpr (std::is_same_v<T, GgufArray>) {
      return take_array(cursor, 1);
    } else if constexpr (std::is_same_v<T, bool>) {
      return take_bool(cursor);
    } else {
      return cursor.take<T>();
    }
  } else {
    check_failed("take_type() lets only known types through", __FILE__, __LINE__);
  }
}

void check_version(GgufCursor& cursor) {
  const auto magic = cursor.remaining() < 4 ? 0 : cursor.take<std::uint32_t>();
  if (magic != kMagic) {
    cursor.set_subject("start of the file");
    cursor.fail("this is not a GGUF file", "a file that begins with 'GGUF'",
                "give a .gguf file or the directory of a Hugging Face model");
  }
  cursor.set_subject("version");
  const auto version = cursor.take<std::uint32_t>();
  if ((version & 0xffffU) == 0 && version != 0) {
    cursor.fail("the file is big-endian", "little-endian numbers",
                "convert it with gguf_convert_endian.py of llama.cpp, or get it for this machine");
  }
  if (version != 2 && version != 3) {
    cursor.fail("GGUF version " + std::to_string(version) + " is not supported", "version 2 or 3",
                version == 1 ? "convert the model again: version 1 was given up in 2023"
                             : "get the model as a file of version 3");
  }
}

std::size_t take_limited_count(GgufCursor& cursor, std::uint64_t least_bytes, std::size_t limit,
                               const std::string& what) {
  const std::size_t count = cursor.take_count(least_bytes, what);
  if (count > limit) {
    cursor.fail("the file has " + std::to_string(count) + " " + what,
                "at most " + std::to_string(limit));
  }
  return count;
}

std::uint64_t alignment_of(const GgufMetadata& metadata) {
  constexpr const char* kKey = "general.alignment";
  const auto alignment = metadata.integer(kKey, 1, 1 << 30, kDefaultAlignment);
  if (!std::has_single_bit(static_cast<std::uint64_t>(alignment))) {
    metadata.fail(kKey, "a power of two", kGetAgain);
  }
  return static_cast<std::uint64_t>(alignment);
}

void take_metadata(GgufCursor& cursor, std::size_t count, GgufMetadata& metadata) {
  for (std::size_t i = 0; i < count; ++i) {
    cursor.set_subject("key " + std::to_string(i) + " of " + std::to_string(count));
    std::string key = cursor.take_text(kMaxName);
    if (key.empty()) cursor.fail("the key has no name", "a name");
    cursor.set_subject("key " + shown(key));
    if (metadata.has(key)) cursor.fail("the key stands twice", "each key once");
    const GgufType type = take_type(cursor);
    metadata.set(std::move(key), take_value(cursor, static_cast<std::size_t>(type)));
  }
}

// Bytes of the tensor; throws where the dimensions make no whole blocks or too many bytes.
std::uint64_t bytes_of(const GgufCursor& cursor, const GgufTensor& tensor,
                       const GgufTensorType& type) {
  if (tensor.dims.front() % type.elements != 0) {
    cursor.fail(
        "rows of " + std::to_string(tensor.dims.front()) + " values are no whole blocks",
        "a multiple of " + std::to_string(type.elements) + " for type " + std::string(type.name));
  }
  auto bytes = checked_multiply(tensor.dims.front() / type.elements, type.bytes);
  if (bytes) bytes = checked_add(*bytes, type.row_bytes);
  std::optional<std::uint64_t> elements = tensor.dims.front();
  for (std::size_t i = 1; i < tensor.dims.size(); ++i) {
    if (bytes) bytes = checked_multiply(*bytes, tensor.dims[i]);
    if (elements) elements = checked_multiply(*elements, tensor.dims[i]);
  }
  // 2^63 at most, so that pointer differences and signed counts cannot overflow either.
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (!bytes || !elements || *bytes > kMost || *elements > kMost) {
    cursor.fail("the dimensions hold more bytes than any file", "less than 2^63");
  }
  return *bytes;
}

GgufTensor take_tensor(GgufCursor& cursor) {
  GgufTensor tensor;
  tensor.name = cursor.take_text(kMaxName);
  if (tensor.name.empty()) cursor.fail("the tensor has no name", "a name");
  cursor.set_subject("tensor " + shown(tensor.name));
  const auto rank = cursor.take<std::uint32_t>();
  if (rank < 1 || rank > kMaxDims) {
    cursor.fail("the tensor has " + std::to_string(rank) + " dimensions", "1 to 4");
  }
  for (std::uint32_t d = 0; d < rank; ++d) {
    tensor.dims.push_back(cursor.take<std::uint64_t>());
    if (tensor.dims.back() == 0) cursor.fail("a dimension is 0", "at least 1");
  }
  tensor.type = cursor.take<std::uint32_t>();
  const GgufTensorType* type = find_gguf_tensor_type(tensor.type);
  if (type == nullptr) {
    cursor.fail("tensor type " + std::to_string(tensor.type) + " is unknown",
                "a type of ggml or ik_llama.cpp",
                "get the model in another type, such as Q4_K_M or Q8_0");
  }
  tensor.bytes = bytes_of(cursor, tensor, *type);
  tensor.offset = cursor.take<std::uint64_t>();
  return tensor;
}

// Offsets count from `data` in the file; afterwards they count from its start.
void place_tensors(std::vector<GgufTensor>& tensors, std::uint64_t data, std::uint64_t alignment,
                   std::uint64_t file_size, const std::string& path) {
  const auto fail = [&](const GgufTensor& tensor, const std::string& what,
                        const std::string& expected, const std::string& fix = kGetAgain) {
    throw Error({.what = what,
                 .where = path + ": tensor " + shown(tensor.name),
                 .expected = expected,
                 .fix = fix});
  };
  const std::uint64_t space = file_size > data ? file_size - data : 0;
  for (GgufTensor& tensor : tensors) {
    if (tensor.offset % alignment != 0) {
      fail(tensor, "the tensor begins at byte " + std::to_string(tensor.offset) + " of the data",
           "a multiple of the alignment " + std::to_string(alignment));
    }
    if (tensor.offset > space || tensor.bytes > space - tensor.offset) {
      fail(tensor, "the tensor reaches past the end of the file",
           "at most " + std::to_string(space) + " bytes of data, not " +
               std::to_string(tensor.bytes) + " from byte " + std::to_string(tensor.offset) + " on",
           "the file was cut short or its header is wrong; get it again");
    }
    tensor.offset += data;
  }
  std::vector<const GgufTensor*> order;
  order.reserve(tensors.size());
  for (const GgufTensor& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const GgufTensor* a, const GgufTensor* b) {
    return std::pair(a->offset, a->bytes) < std::pair(b->offset, b->bytes);
  });
  for (std::size_t i = 1; i < order.size(); ++i) {
    const std::uint64_t end = order[i - 1]->offset + order[i - 1]->bytes;
    if (order[i]->offset < end) {
      fail(*order[i], "the tensor overlaps " + shown(order[i - 1]->name),
           "bytes from " + std::to_string(end) + " of the file on, not from " +
               std::to_string(order[i]->offset));
    }
  }
}

}  // namespace

GgufHeader read_gguf_header(const ReadableFile& file, const std::string& path,
                            std::uint64_t limit) {
  GgufCursor cursor(file, path, limit);
  check_version(cursor);
  cursor.set_subject("number of tensors");
  const std::size_t tensors = take_limited_count(cursor, kLeastTensor, kMaxGgufTensors, "tensors");
  cursor.set_subject("number of keys");
  const std::size_t keys = take_limited_count(cursor, kLeastKey, kMaxGgufKeys, "keys");

  GgufHeader header;
  header.metadata = GgufMetadata(path);
  take_metadata(cursor, keys, header.metadata);
  const std::uint64_t alignment = alignment_of(header.metadata);

  header.tensors.reserve(tensors);  // names stay where they are
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < tensors; ++i) {
    cursor.set_subject("tensor " + std::to_string(i) + " of " + std::to_string(tensors));
    header.tensors.push_back(take_tensor(cursor));
    if (!names.insert(header.tensors.back().name).second) {
      cursor.fail("the name stands twice", "each name once");
    }
  }
  header.bytes = cursor.position();
  // Cannot overflow: the position is within a file.
  place_tensors(header.tensors, *checked_round_up(cursor.position(), alignment), alignment,
                file.size(), path);
  return header;
}

}  // namespace switchyard
