// A tokenizer without a language: byte-level BPE with as many tokens as a model has, for models
// made of random numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "switchyard/tokenizer.h"

namespace switchyard {

// The special tokens, and the template of a conversation that uses them (ChatML).
struct MadeUpTokenizer {
  static constexpr std::string_view kEndOfText = "<|endoftext|>";
  static constexpr std::string_view kTurnBegin = "<|im_start|>";
  static constexpr std::string_view kTurnEnd = "<|im_end|>";
  static constexpr std::string_view kChatTemplate =
      "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
      "{{ message['content'] }}<|im_end|>\n{% endfor %}"
      "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

  Tokenizer tokenizer;
  std::int32_t end_of_text, turn_begin, turn_end;
};

// `vocab` tokens: the 256 bytes, then groups of two letters, of three and of four, made of the
// shorter ones, and the special tokens last. Beyond half a million there are no more groups: those
// ids have no token. Throws Error below 259.
MadeUpTokenizer made_up_tokenizer(std::size_t vocab);

}  // namespace switchyard
