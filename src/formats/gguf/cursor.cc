#include "formats/gguf/cursor.h"

#include <algorithm>

#include "switchyard/error.h"

#include "base/checked_math.h"

namespace switchyard {
namespace {

constexpr std::uint64_t kPiece = 1 << 20;
constexpr const char* kGetAgain = "get the file again or convert the model again";

}  // namespace

GgufCursor::GgufCursor(const ReadableFile& file, std::string path, std::uint64_t limit)
    : file_(file), path_(std::move(path)), size_(file.size()), end_(std::min(size_, limit)) {}

void GgufCursor::fail(const std::string& what, const std::string& expected,
                      const std::string& fix) const {
  throw Error({.what = what,
               .where = path_ + ": " + (subject_.empty() ? "" : subject_ + ", ") + "byte " +
                        std::to_string(position_),
               .expected = expected,
               .fix = fix.empty() ? kGetAgain : fix});
}

void GgufCursor::require(std::uint64_t bytes, const std::string& what) const {
  if (bytes <= remaining()) return;
  if (end_ < size_) {
    fail(what + " passes the limit for metadata and tensor list",
         "at most " + std::to_string(end_) + " bytes before the tensors");
  }
  fail(what + " reaches past the end of the file",
       "at most " + std::to_string(remaining()) + " bytes, the rest of the file",
       "the file was cut short or its header is wrong; get it again");
}

void GgufCursor::fill() {
  buffer_.resize(static_cast<std::size_t>(std::min(kPiece, end_ - position_)));
  buffered_ = position_;
  file_.read(position_, buffer_);
}

void GgufCursor::take_bytes(std::span<std::byte> out) {
  require(out.size(), std::to_string(out.size()) + (out.size() == 1 ? " byte" : " bytes"));
  while (!out.empty()) {
    const std::uint64_t skip = position_ - buffered_;
    if (skip >= buffer_.size()) {
      if (out.size() >= kPiece) {
        file_.read(position_, out);
        position_ += out.size();
        return;
      }
      fill();
      continue;
    }
    const std::size_t count = std::min(out.size(), buffer_.size() - static_cast<std::size_t>(skip));
    std::memcpy(out.data(), buffer_.data() + skip, count);
    position_ += count;
    out = out.subspan(count);
  }
}

std::string GgufCursor::take_text(std::uint64_t limit) {
  const auto length = take<std::uint64_t>();
  require(length, "a text of " + std::to_string(length) + " bytes");
  if (length > limit) {
    fail("a name of " + std::to_string(length) + " bytes", "at most " + std::to_string(limit));
  }
  std::string text(static_cast<std::size_t>(length), '\0');
  take_bytes(std::as_writable_bytes(std::span(text)));
  return text;
}

std::size_t GgufCursor::take_count(std::uint64_t least_bytes, const std::string& what) {
  const auto count = take<std::uint64_t>();
  const auto bytes = checked_multiply(count, least_bytes);
  require(bytes ? *bytes : UINT64_MAX, "a count of " + std::to_string(count) + " " + what);
  return static_cast<std::size_t>(count);
}

}  // namespace switchyard
