#include "formats/npy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "switchyard/error.h"

#include "base/check.h"
#include "base/checked_math.h"
#include "formats/json.h"

namespace switchyard {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr std::uint64_t kDataAlignment = 64;
constexpr std::size_t kMaxRank = 32;  // NumPy's own limit
constexpr std::size_t kMaxHeader = 65535;

std::optional<std::uint64_t> element_count(const std::vector<std::int64_t>& shape) {
  std::uint64_t count = 1;
  for (const std::int64_t n : shape) {
    if (n < 0) return std::nullopt;
    const auto product = checked_multiply(count, static_cast<std::uint64_t>(n));
    if (!product) return std::nullopt;
    count = *product;
  }
  if (count > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / sizeof(float))
    return std::nullopt;
  return count;
}

std::string header_for(const std::vector<std::int64_t>& shape) {
  std::string tuple;
  for (const std::int64_t n : shape) tuple += std::to_string(n) + (shape.size() == 1 ? "," : ", ");
  if (shape.size() > 1) tuple.resize(tuple.size() - 2);
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + tuple + "), }";
  const std::size_t fixed = kMagic.size() + 4;
  const auto padded = *checked_round_up(fixed + header.size() + 1, kDataAlignment) - fixed;
  header.resize(static_cast<std::size_t>(padded) - 1, ' ');
  return header + '\n';
}

// Reads the dictionary {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } in any order of
// its keys.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& path) : rest_(text), path_(path) {}

  std::vector<std::int64_t> parse() {
    bool descr = false;
    bool order = false;
    bool has_shape = false;
    std::vector<std::int64_t> shape;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted_text();
      expect(':');
      if (key == "descr" && !descr) {
        descr = true;
        const std::string_view type = quoted_text();
        if (type != "<f4") fail("the type is " + shown(type), "'<f4', little-endian float32");
      } else if (key == "fortran_order" && !order) {
        order = true;
        if (accept_word("True")) fail("the order is Fortran's", "'fortran_order': False");
        if (!accept_word("False")) fail("fortran_order is neither True nor False", "False");
      } else if (key == "shape" && !has_shape) {
        has_shape = true;
        shape = tuple();
      } else {
        fail("the header has the key " + shown(key), "descr, fortran_order and shape, each once");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!rest_.empty()) fail("text follows the header's dictionary", "spaces and a line end");
    if (!descr || !order || !has_shape)
      fail("the header is incomplete", "descr, fortran_order and shape");
    return shape;
  }

 private:
  [[noreturn]] void fail(const std::string& what, const std::string& expected) const {
    throw Error({.what = what,
                 .where = path_,
                 .expected = expected,
                 .fix = "save it with numpy.save as float32"});
  }

  void skip_space() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n'))
      rest_.remove_prefix(1);
  }
  bool accept(char c) {
    skip_space();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail("the header is not a Python dictionary", std::string("'") + c + "'");
  }
  bool accept_word(std::string_view word) {
    skip_space();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  std::string_view quoted_text() {
    expect('\'');
    const auto end = rest_.find('\'');
    if (end == std::string_view::npos) fail("the header is not a Python dictionary", "a closing '");
    const std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return text;
  }
  std::vector<std::int64_t> tuple() {
    std::vector<std::int64_t> shape;
    expect('(');
    while (!accept(')')) {
      if (shape.size() == kMaxRank) fail("the shape has more than 32 dimensions", "at most 32");
      skip_space();
      std::int64_t n = 0;
      const auto [end, status] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), n);
      if (status != std::errc() || n < 0)
        fail("the shape holds no sizes", "integers that are not negative");
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      shape.push_back(n);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }

  std::string_view rest_;
  const std::string& path_;
};

}  // namespace

NpyWriter::NpyWriter(FileSystem& fs, std::string path, const std::vector<std::int64_t>& shape)
    : file_(fs, std::move(path)) {
  const auto count = element_count(shape);
  SWITCHYARD_CHECK(count.has_value() && shape.size() <= kMaxRank);
  missing_ = *count;
  const std::string header = header_for(shape);
  const auto length = static_cast<std::uint16_t>(header.size());
  std::string start(kMagic);
  start += {'\x01', '\x00', static_cast<char>(length & 0xff), static_cast<char>(length >> 8)};
  file_.append(start + header);
}

void NpyWriter::append(std::span<const float> values) {
  SWITCHYARD_CHECK(values.size() <= missing_);
  missing_ -= values.size();
  file_.append(std::as_bytes(values));
}

void NpyWriter::commit() {
  SWITCHYARD_CHECK(missing_ == 0);
  file_.commit();
}

void write_npy(FileSystem& fs, const std::string& path, const std::vector<std::int64_t>& shape,
               std::span<const float> values) {
  NpyWriter out(fs, path, shape);
  out.append(values);
  out.commit();
}

NpyArray read_npy(FileSystem& fs, const std::string& path) {
  const auto file = fs.open(path);
  std::array<std::byte, 12> start{};
  const std::size_t have =
      static_cast<std::size_t>(std::min<std::uint64_t>(file->size(), start.size()));
  file->read(0, std::span(start).first(have));
  const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(start[i]); };
  if (have < 10 || std::memcmp(start.data(), kMagic.data(), kMagic.size()) != 0) {
    throw Error({.what = "the file does not start as an npy file does",
                 .where = path,
                 .expected = "\\x93NUMPY",
                 .fix = "save it with numpy.save"});
  }
  const std::uint32_t version = byte(6);
  if (version < 1 || version > 3 || byte(7) != 0 || (version > 1 && have < 12)) {
    throw Error({.what = "npy version " + std::to_string(version) + "." + std::to_string(byte(7)),
                 .where = path,
                 .expected = "1.0 to 3.0",
                 .fix = "save it with numpy.save"});
  }
  const std::uint64_t begin = version == 1 ? 10 : 12;
  const std::uint64_t length = version == 1
                                   ? byte(8) | byte(9) << 8
                                   : byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24;
  if (length > kMaxHeader || length > file->size() - begin) {
    throw Error({.what = "the header claims " + std::to_string(length) + " bytes",
                 .where = path,
                 .expected = "at most " + std::to_string(std::min<std::uint64_t>(
                                              kMaxHeader, file->size() - begin)),
                 .fix = "the file was cut short; get it again"});
  }
  std::string header(static_cast<std::size_t>(length), '\0');
  file->read(begin, std::as_writable_bytes(std::span(header)));

  NpyArray array;
  array.shape = HeaderParser(header, path).parse();
  const auto count = element_count(array.shape);
  const std::uint64_t data = file->size() - begin - length;
  if (!count || *count * sizeof(float) != data) {
    throw Error({.what = "the file holds " + std::to_string(data) + " bytes of data",
                 .where = path,
                 .expected = count ? std::to_string(*count * sizeof(float)) + " for its shape"
                                   : "a shape that fits a file",
                 .fix = "get the file again"});
  }
  array.values.resize(static_cast<std::size_t>(*count));
  if (data > 0) file->read(begin + length, std::as_writable_bytes(std::span(array.values)));
  return array;
}

}  // namespace switchyard
