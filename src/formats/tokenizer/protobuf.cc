#include "formats/tokenizer/protobuf.h"

#include <bit>
#include <utility>

#include "switchyard/error.h"

namespace switchyard::tokenizer {

ProtobufReader::ProtobufReader(std::string_view bytes, std::string where)
    : all_(bytes), where_(std::move(where)) {}

void ProtobufReader::fail(const std::string& what) const {
  throw Error({.what = what + " at byte " + std::to_string(at_),
               .where = where_,
               .expected = "a SentencePiece model, which is a Protocol Buffers message",
               .fix = "download the file again"});
}

std::uint64_t ProtobufReader::take_varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (at_ == all_.size()) fail("a number ends with the file");
    const auto byte = static_cast<unsigned char>(all_[at_++]);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  fail("a number is longer than ten bytes");
}

std::string_view ProtobufReader::take(std::uint64_t count) {
  if (count > all_.size() - at_) {
    fail("a field claims " + std::to_string(count) + " bytes where " +
         std::to_string(all_.size() - at_) + " are left");
  }
  const std::string_view taken = all_.substr(at_, static_cast<std::size_t>(count));
  at_ += taken.size();
  return taken;
}

bool ProtobufReader::next() {
  if (at_ == all_.size()) return false;
  const std::uint64_t tag = take_varint();
  constexpr std::uint64_t kMaxField = (1U << 29) - 1;
  if (tag >> 3 == 0 || tag >> 3 > kMaxField) fail("a field has no valid number");
  field_ = static_cast<std::uint32_t>(tag >> 3);
  const auto fixed = [&](std::uint64_t size) {
    std::uint64_t value = 0;
    unsigned shift = 0;
    for (const char byte : take(size)) {
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(byte)) << shift;
      shift += 8;
    }
    return value;
  };
  switch (tag & 7) {
    case 0:
      kind_ = Kind::varint;
      number_ = take_varint();
      return true;
    case 1:
      kind_ = Kind::fixed64;
      number_ = fixed(8);
      return true;
    case 2:
      kind_ = Kind::bytes;
      content_ = take(take_varint());
      return true;
    case 5:
      kind_ = Kind::fixed32;
      number_ = fixed(4);
      return true;
    default:
      fail("field " + std::to_string(field_) + " is of an unknown kind");
  }
}

void ProtobufReader::expect(Kind kind, const char* name) const {
  if (kind_ != kind) fail("field " + std::to_string(field_) + " is not " + name);
}

std::int32_t ProtobufReader::integer() const {
  expect(Kind::varint, "a number");
  // Negative numbers are written with their sign carried to 64 bits.
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(number_));
}

float ProtobufReader::real() const {
  expect(Kind::fixed32, "a number with a fraction");
  return std::bit_cast<float>(static_cast<std::uint32_t>(number_));
}

std::string_view ProtobufReader::bytes() const {
  expect(Kind::bytes, "text");
  return content_;
}

}  // namespace switchyard::tokenizer
