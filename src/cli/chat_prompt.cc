#include "cli/chat_prompt.h"

#include <algorithm>
#include <utility>

#include "switchyard/error.h"

namespace switchyard::cli {

ChatPrompt::ChatPrompt(ChatTemplate chat_template, const ChatTokens& tokens,
                       const std::string& system, const Tokenizer& tokenizer)
    : template_(std::move(chat_template)),
      options_{.bos_token = tokens.bos, .eos_token = tokens.eos},
      tokenizer_(tokenizer) {
  if (!system.empty()) first_.push_back({{"role", "system"}, {"content", system}});
  messages_ = first_;
}

std::vector<std::int32_t> ChatPrompt::ask(const std::string& text, runtime::Session& session) {
  messages_.push_back({{"role", "user"}, {"content", text}});
  asked_ = true;
  std::vector<std::int32_t> ids =
      tokenizer_.encode(template_.render(messages_, options_), {.add_special_tokens = false});
  if (ids.empty()) {
    throw Error({.what = "the chat template writes nothing",
                 .where = "chat template",
                 .expected = "a prompt",
                 .fix = {}});
  }
  // At least one id must be fed to get an answer.
  held_.resize(std::min(held_.size(), ids.size() - 1));
  const auto shared = std::mismatch(held_.begin(), held_.end(), ids.begin()).first - held_.begin();
  session.truncate(static_cast<int>(shared));
  held_ = ids;
  ids.erase(ids.begin(), ids.begin() + shared);
  return ids;
}

void ChatPrompt::answered(const api::Result& result, const runtime::Session& session) {
  messages_.push_back({{"role", "assistant"}, {"content", result.text}});
  asked_ = false;
  held_.insert(held_.end(), result.tokens.begin(), result.tokens.end());
  held_.resize(std::min(held_.size(), static_cast<std::size_t>(session.length())));
}

void ChatPrompt::failed(runtime::Session& session) {
  if (std::exchange(asked_, false)) messages_.erase(messages_.size() - 1);
  session.truncate(0);
  held_.clear();
}

void ChatPrompt::reset() {
  messages_ = first_;
  held_.clear();
  asked_ = false;
}

}  // namespace switchyard::cli
