#include "formats/safetensors_header.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "switchyard/error.h"

#include "base/checked_math.h"
#include "formats/json.h"

namespace switchyard {
namespace {

constexpr std::size_t kMaxRank = 32;
constexpr const char* kGetAgain = "get the file again or convert the model again";

std::string tensor_place(const std::string& path, const std::string& name) {
  return path + ": tensor " + shown(name);
}

// Takes the header as the parser reads it. A state machine instead of a JSON tree: whatever does
// not belong into a header is refused when it appears, so a hostile header costs no memory beyond
// its own length.
class HeaderHandler : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderHandler(std::string path, SafetensorsHeader& header)
      : path_(std::move(path)), header_(header) {}

  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("a boolean"); }
  bool number_integer(number_integer_t value) override {
    unexpected(value < 0 ? "the negative number " + std::to_string(value) : "a signed number");
  }
  bool number_float(number_float_t, const string_t& text) override {
    unexpected("the number " + shown(text));
  }
  bool binary(binary_t&) override { unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (state_ == State::shape) {
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        unexpected("the number " + std::to_string(value));
      }
      if (tensor_.shape.size() == kMaxRank)
        fail("the shape has more than 32 dimensions", "at most 32");
      tensor_.shape.push_back(static_cast<std::int64_t>(value));
    } else if (state_ == State::offsets && offsets_ < 2) {
      (offsets_++ == 0 ? tensor_.offset : end_) = value;
    } else {
      unexpected("the number " + std::to_string(value));
    }
    return true;
  }

  bool string(string_t& value) override {
    if (state_ == State::metadata_value) {
      header_.metadata[name_] = value;
      state_ = State::metadata;
    } else if (state_ == State::dtype) {
      const auto dtype = dtype_from_name(value);
      if (!dtype || is_quantised(*dtype)) {
        fail("unknown dtype " + shown(value), "F32, F16, BF16, F64, I8, U8, I16, I32, I64 or BOOL",
             "convert the tensor to one of these types");
      }
      tensor_.dtype = *dtype;
      state_ = State::tensor;
    } else {
      unexpected("the text " + shown(value));
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (state_ == State::start) {
      state_ = State::top;
    } else if (state_ == State::metadata_start) {
      state_ = State::metadata;
    } else if (state_ == State::tensor_start) {
      state_ = State::tensor;
    } else {
      unexpected("an object");
    }
    return true;
  }

  bool key(string_t& key) override {
    if (state_ == State::top) {
      if (!names_.insert(key).second) {
        throw Error({.what = "the name stands twice in the header",
                     .where = tensor_place(path_, key),
                     .expected = "each name once",
                     .fix = kGetAgain});
      }
      name_ = key;
      tensor_ = TensorInfo{};
      tensor_.name = key;
      has_dtype_ = has_shape_ = has_offsets_ = false;
      offsets_ = 0;
      state_ = key == "__metadata__" ? State::metadata_start : State::tensor_start;
    } else if (state_ == State::metadata) {
      if (header_.metadata.count(key) != 0) {
        throw Error({.what = "key " + shown(key) + " stands twice in __metadata__",
                     .where = path_,
                     .fix = kGetAgain});
      }
      name_ = key;
      state_ = State::metadata_value;
    } else {
      field(key);
    }
    return true;
  }

  bool end_object() override {
    if (state_ == State::tensor) {
      if (!has_dtype_ || !has_shape_ || !has_offsets_) {
        fail(std::string("the entry has no ") + (!has_dtype_   ? "dtype"
                                                 : !has_shape_ ? "shape"
                                                               : "data_offsets"),
             "dtype, shape and data_offsets");
      }
      finish_tensor();
      state_ = State::top;
    } else {
      state_ = state_ == State::metadata ? State::top : State::done;
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (state_ == State::shape_start) {
      state_ = State::shape;
    } else if (state_ == State::offsets_start) {
      state_ = State::offsets;
    } else {
      unexpected("an array");
    }
    return true;
  }

  bool end_array() override {
    if (state_ == State::offsets && offsets_ != 2)
      fail("data_offsets has less than two numbers", "[begin, end]");
    state_ = State::tensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception&) override {
    throw Error({.what = "the header is not valid JSON at its byte " + std::to_string(position),
                 .where = path_,
                 .expected = "a safetensors file",
                 .fix = kGetAgain});
  }

 private:
  enum class State {
    start,
    top,
    done,
    metadata_start,
    metadata,
    metadata_value,
    tensor_start,
    tensor,
    dtype,
    shape_start,
    shape,
    offsets_start,
    offsets,
  };

  [[noreturn]] void fail(const std::string& what, const std::string& expected,
                         const std::string& fix = kGetAgain) {
    throw Error(
        {.what = what, .where = tensor_place(path_, name_), .expected = expected, .fix = fix});
  }

  [[noreturn]] void unexpected(const std::string& found) {
    switch (state_) {
      case State::start:
        throw Error({.what = "the header is not a JSON object but " + found,
                     .where = path_,
                     .expected = "a safetensors file",
                     .fix = kGetAgain});
      case State::metadata_start:
        throw Error({.what = "__metadata__ is " + found,
                     .where = path_,
                     .expected = "an object",
                     .fix = kGetAgain});
      case State::metadata_value:
        throw Error({.what = "__metadata__ entry " + shown(name_) + " is " + found,
                     .where = path_,
                     .expected = "a text",
                     .fix = kGetAgain});
      case State::tensor_start:
        fail("the entry is " + found, "an object with dtype, shape and data_offsets");
      case State::dtype:
        fail("the dtype is " + found, "a text such as F32");
      case State::shape_start:
      case State::shape:
        fail("the shape holds " + found, "a list of integers that are not negative");
      default:
        fail("data_offsets holds " + found, "[begin, end], two integers that are not negative");
    }
  }

  void field(const std::string& key) {
    bool* seen = nullptr;
    if (key == "dtype") {
      seen = &has_dtype_;
      state_ = State::dtype;
    } else if (key == "shape") {
      seen = &has_shape_;
      state_ = State::shape_start;
    } else if (key == "data_offsets") {
      seen = &has_offsets_;
      state_ = State::offsets_start;
    } else {
      fail("the entry has an unknown field " + shown(key), "dtype, shape and data_offsets");
    }
    if (*seen) fail("field '" + key + "' stands twice", "each field once");
    *seen = true;
  }

  void finish_tensor() {
    std::optional<std::uint64_t> bytes = 1;
    for (const std::int64_t n : tensor_.shape) {
      bytes = checked_multiply(*bytes, static_cast<std::uint64_t>(n));
      if (!bytes) break;
    }
    // 2^63 at most, so that elements() and pointer differences cannot overflow either.
    if (bytes) bytes = checked_multiply(*bytes, dtype_size(tensor_.dtype));
    if (!bytes || *bytes > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      fail("the shape holds more bytes than any file", "shape times element size below 2^63");
    }
    if (end_ < tensor_.offset) {
      fail("data_offsets are reversed: [" + std::to_string(tensor_.offset) + ", " +
               std::to_string(end_) + "]",
           "begin <= end");
    }
    if (end_ - tensor_.offset != *bytes) {
      fail("data_offsets span " + std::to_string(end_ - tensor_.offset) + " bytes",
           std::to_string(*bytes) + " bytes for its shape and dtype " +
               std::string(dtype_name(tensor_.dtype)));
    }
    tensor_.bytes = *bytes;
    header_.tensors.push_back(std::move(tensor_));
  }

  std::string path_;
  SafetensorsHeader& header_;
  State state_ = State::start;
  std::string name_;  // the tensor or metadata key being read
  std::set<std::string> names_;
  TensorInfo tensor_;
  std::uint64_t end_ = 0;
  int offsets_ = 0;
  bool has_dtype_ = false;
  bool has_shape_ = false;
  bool has_offsets_ = false;
};

// The tensors must cover the data exactly: begin at 0, each where the one before ends, the last one
// at the end.
void check_layout(SafetensorsHeader& header, std::uint64_t data_bytes, const std::string& path) {
  auto& tensors = header.tensors;
  std::sort(tensors.begin(), tensors.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes);
  });
  std::uint64_t end = 0;
  const TensorInfo* before = nullptr;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.offset > data_bytes || tensor.bytes > data_bytes - tensor.offset) {
      throw Error({.what = "the tensor reaches past the end of the file",
                   .where = tensor_place(path, tensor.name),
                   .expected = "data_offsets within " + std::to_string(data_bytes) +
                               " bytes of data, not [" + std::to_string(tensor.offset) + ", " +
                               std::to_string(tensor.offset + tensor.bytes) + "]",
                   .fix = "the file was cut short or its header is wrong; get it again"});
    }
    if (tensor.offset < end) {
      throw Error({.what = "the tensor overlaps " + shown(before->name),
                   .where = tensor_place(path, tensor.name),
                   .expected = "data_offsets from " + std::to_string(end) + " on, not from " +
                               std::to_string(tensor.offset),
                   .fix = kGetAgain});
    }
    if (tensor.offset > end) {
      throw Error({.what = "a hole of " + std::to_string(tensor.offset - end) +
                           " bytes lies before the tensor",
                   .where = tensor_place(path, tensor.name),
                   .expected = "data_offsets that begin at " + std::to_string(end),
                   .fix = kGetAgain});
    }
    end = tensor.offset + tensor.bytes;
    before = &tensor;
  }
  if (end != data_bytes) {
    throw Error(
        {.what = std::to_string(data_bytes - end) + " bytes after the last tensor belong to none",
         .where = before == nullptr ? path : tensor_place(path, before->name),
         .expected = std::to_string(end) + " bytes of data",
         .fix = kGetAgain});
  }
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, std::uint64_t data_bytes,
                                           const std::string& path) {
  // The parser would skip space in front, and takes a zero byte for the end of the text.
  if (text.empty() || text.front() != '{' || text.find('\0') != std::string_view::npos) {
    throw Error({.what = "the header is not a JSON object",
                 .where = path,
                 .expected = "a safetensors file",
                 .fix = kGetAgain});
  }
  SafetensorsHeader header;
  HeaderHandler handler(path, header);
  nlohmann::json::sax_parse(text.begin(), text.end(), &handler);
  check_layout(header, data_bytes, path);
  return header;
}

}  // namespace switchyard
