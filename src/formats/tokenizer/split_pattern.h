// The split patterns nearly every byte-level tokenizer uses, recognised by their text and matched
// by hand: an order of magnitude faster than a general regular expression, and without limits on
// long runs. Each cuts a text completely: every byte belongs to one piece.
//
// Oracle in the tests: Regex with the same pattern.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace switchyard::tokenizer {

// What GPT-2, GPT-NeoX and OLMoE split with, and the "ByteLevel" pre-tokenizer.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// Llama 3 (at most three digits in a piece) and Qwen 2 and 3 (one).
inline constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

enum class SplitPattern { gpt2, llama3, qwen2 };

std::optional<SplitPattern> recognise_split_pattern(std::string_view pattern);

// End of the piece that starts at `begin`. REQUIRES: well-formed UTF-8, begin < text.size().
std::size_t next_piece_end(SplitPattern pattern, std::string_view text, std::size_t begin);

}  // namespace switchyard::tokenizer
