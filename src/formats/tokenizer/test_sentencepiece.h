// SentencePiece models for tests, written field by field.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tokenizer/scored_pieces.h"

namespace switchyard::tokenizer {

inline std::string protobuf_varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}

inline std::string protobuf_number(std::uint32_t field, std::int64_t value) {
  return protobuf_varint(std::uint64_t{field} << 3) +
         protobuf_varint(static_cast<std::uint64_t>(value));
}

inline std::string protobuf_bytes(std::uint32_t field, std::string_view bytes) {
  return protobuf_varint(std::uint64_t{field} << 3 | 2) + protobuf_varint(bytes.size()) +
         std::string(bytes);
}

inline std::string protobuf_float(std::uint32_t field, float value) {
  std::string out = protobuf_varint(std::uint64_t{field} << 3 | 5);
  const auto bits = std::bit_cast<std::uint32_t>(value);
  for (unsigned shift = 0; shift < 32; shift += 8) out += static_cast<char>(bits >> shift);
  return out;
}

inline std::string sentencepiece_piece(const ScoredPiece& piece) {
  std::string message = protobuf_bytes(1, piece.text) + protobuf_float(2, piece.score);
  if (piece.type != PieceType::normal) {
    message += protobuf_number(3, static_cast<std::int32_t>(piece.type));
  }
  return protobuf_bytes(1, message);
}

// A model of type BPE with byte fallback and the normalisation of Llama 2.
inline std::string sentencepiece_model(const std::vector<ScoredPiece>& pieces) {
  std::string out;
  for (const ScoredPiece& piece : pieces) out += sentencepiece_piece(piece);
  const std::string trainer = protobuf_number(3, 2) + protobuf_number(35, 1) +
                              protobuf_number(40, 0) + protobuf_number(41, 1) +
                              protobuf_number(42, 2) + protobuf_number(43, -1);
  const std::string normalizer = protobuf_bytes(1, "identity") + protobuf_number(3, 1) +
                                 protobuf_number(4, 0) + protobuf_number(5, 1);
  return out + protobuf_bytes(2, trainer) + protobuf_bytes(3, normalizer);
}

// "<unk>" 0, "<s>" 1, "</s>" 2, bytes 3 to 258, then `normal`, best first.
inline std::vector<ScoredPiece> llama_pieces(const std::vector<std::string>& normal) {
  std::vector<ScoredPiece> pieces = {{"<unk>", 0, PieceType::unknown},
                                     {"<s>", 0, PieceType::control},
                                     {"</s>", 0, PieceType::control}};
  const char* digits = "0123456789ABCDEF";
  for (unsigned byte = 0; byte < 256; ++byte) {
    pieces.push_back(
        {{'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'}, 0, PieceType::byte});
  }
  float score = 0;
  for (const std::string& text : normal) pieces.push_back({text, score--, PieceType::normal});
  return pieces;
}

}  // namespace switchyard::tokenizer
