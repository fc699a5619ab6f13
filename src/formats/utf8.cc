#include "formats/utf8.h"

#include <cstdint>
#include <cstring>

namespace switchyard {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

unsigned char byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

// How the bytes at the start of a text read as one character.
struct Scan {
  enum Kind { complete, broken, unfinished } kind;
  std::size_t
      length;  // bytes of the character, or of its longest well-formed beginning (at least 1)
};

// REQUIRES: text is not empty. The second byte's range depends on the first (table 3-7 of the
// Unicode standard).
Scan scan_char(std::string_view text) {
  const unsigned char lead = byte_at(text, 0);
  if (lead < 0x80) return {Scan::complete, 1};
  if (lead < 0xC2 || lead > 0xF4) return {Scan::broken, 1};
  const std::size_t length = utf8_length(text[0]);
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
  if (lead == 0xE0) low = 0xA0;
  if (lead == 0xED) high = 0x9F;
  if (lead == 0xF0) low = 0x90;
  if (lead == 0xF4) high = 0x8F;
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {Scan::unfinished, i};
    const unsigned char byte = byte_at(text, i);
    if (byte < low || byte > high) return {Scan::broken, i};
    low = 0x80;
    high = 0xBF;
  }
  return {Scan::complete, length};
}

// Past the ASCII bytes from `position`, eight at a time.
std::size_t skip_ascii(std::string_view text, std::size_t position) {
  while (position + 8 <= text.size()) {
    std::uint64_t chunk = 0;
    std::memcpy(&chunk, text.data() + position, 8);
    if ((chunk & 0x8080808080808080U) != 0) break;
    position += 8;
  }
  while (position < text.size() && byte_at(text, position) < 0x80) ++position;
  return position;
}

}  // namespace

std::size_t find_invalid_utf8(std::string_view text) {
  for (std::size_t i = skip_ascii(text, 0); i < text.size(); i = skip_ascii(text, i)) {
    const Scan scan = scan_char(text.substr(i, 4));
    if (scan.kind != Scan::complete) return i;
    i += scan.length;
  }
  return std::string_view::npos;
}

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

void LossyUtf8::push(std::string_view bytes, std::string& out) {
  std::string joined;
  if (!waiting_.empty()) {
    joined = waiting_;
    joined += bytes;
    bytes = joined;
    waiting_.clear();
  }
  std::size_t i = 0;
  while (i < bytes.size()) {
    const std::size_t ascii_end = skip_ascii(bytes, i);
    out.append(bytes.substr(i, ascii_end - i));
    i = ascii_end;
    if (i == bytes.size()) break;
    const Scan scan = scan_char(bytes.substr(i));
    if (scan.kind == Scan::unfinished) {
      waiting_ = bytes.substr(i);
      return;
    }
    out.append(scan.kind == Scan::complete ? bytes.substr(i, scan.length) : kReplacement);
    i += scan.length;
  }
}

void LossyUtf8::finish(std::string& out) {
  if (!waiting_.empty()) out.append(kReplacement);
  waiting_.clear();
}

}  // namespace switchyard
