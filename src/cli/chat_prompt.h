// The prompts of a conversation, written by the model's chat template.
//
// The template renders the whole conversation anew in every turn, since it may write old turns in
// another way than the last (leave out thoughts, for example). Of its ids, those that the session
// holds already are not computed again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "switchyard/chat_template.h"
#include "switchyard/generator.h"
#include "switchyard/runtime.h"
#include "switchyard/tokenizer.h"

namespace switchyard::cli {

class ChatPrompt {
 public:
  // `system`: the first message, none if empty. The tokenizer must outlive the prompt.
  ChatPrompt(ChatTemplate chat_template, const ChatTokens& tokens, const std::string& system,
             const Tokenizer& tokenizer);

  // Adds what the user said, cuts the session back to what it shares with the conversation, and
  // returns the ids to feed. Throws Error where the template refuses; call failed() then.
  std::vector<std::int32_t> ask(const std::string& text, runtime::Session& session);
  void answered(const api::Result& result, const runtime::Session& session);
  // The turn came to nothing: forgets it.
  void failed(runtime::Session& session);
  void reset();

 private:
  ChatTemplate template_;
  ChatTemplateOptions options_;
  nlohmann::ordered_json first_ = nlohmann::ordered_json::array();  // the system's message
  nlohmann::ordered_json messages_;
  const Tokenizer& tokenizer_;
  std::vector<std::int32_t> held_;  // by the session
  bool asked_ = false;              // the last message has no answer yet
};

}  // namespace switchyard::cli
