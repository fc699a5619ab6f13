// The wire format of Protocol Buffers, as far as reading needs it: fields one after another, each a
// number, a kind and a value. Messages inside messages are read by a reader of their own.
//
// Our own, because the one file of this kind we read (SentencePiece's tokenizer.model) uses four
// kinds of fields, and Google's library would bring a code generator to the build for them.
//
// Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace switchyard::tokenizer {

class ProtobufReader {
 public:
  // `where` names the file and the message in errors; the bytes must outlive the reader.
  ProtobufReader(std::string_view bytes, std::string where);

  // Moves to the next field; false at the end. Throws Error for bytes that are no fields.
  bool next();

  std::uint32_t field() const { return field_; }

  // The value of the current field. Each throws Error if the field is of another kind.
  std::int32_t integer() const;  // int32 and enum
  bool boolean() const { return integer() != 0; }
  float real() const;              // float
  std::string_view bytes() const;  // string, bytes and messages

 private:
  enum class Kind : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

  std::uint64_t take_varint();
  std::string_view take(std::uint64_t count);
  [[noreturn]] void fail(const std::string& what) const;
  void expect(Kind kind, const char* name) const;

  std::string_view all_;
  std::size_t at_ = 0;
  std::string where_;
  std::uint32_t field_ = 0;
  Kind kind_ = Kind::varint;
  std::uint64_t number_ = 0;  // varint, fixed32
  std::string_view content_;  // bytes
};

}  // namespace switchyard::tokenizer
