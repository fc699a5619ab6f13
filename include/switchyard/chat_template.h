// Chat templates: the Jinja template a model comes with turns a conversation into the text of a
// prompt, with the marks of turns the model was trained on.
//
// Renders what transformers renders, for the part of Jinja that chat templates use
// (docs/formats/chat-template.md). Templates come with models, from strangers: what is not
// supported, not well formed, too deep or too much work is an Error with the line.
//
//   const ChatTemplate chat_template(source, "tokenizer_config.json: chat_template");
//   const std::string prompt = chat_template.render({{{"role", "user"}, {"content", "Hello"}}},
//                                                   {.eos_token = "<|im_end|>"});
//
// Encode the result without adding special tokens: a template writes BOS itself.
//
// Thread rule: const after construction; concurrent calls are fine.
#pragma once

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "switchyard/file_system.h"

namespace switchyard {

struct ChatTemplateOptions {
  std::string bos_token = {};
  std::string eos_token = {};
  bool add_generation_prompt = true;  // ends with the mark where the model's answer begins
  // What the model may call: a JSON array of functions' schemas; null: the template sees none.
  // Schemas are written into the prompt as JSON with their keys in this order.
  nlohmann::ordered_json tools = nullptr;
  // An object of further names a template knows, such as {"enable_thinking": false}.
  nlohmann::ordered_json variables = nlohmann::ordered_json::object();
  // What strftime_now() says; the clock's time if absent.
  std::optional<std::chrono::system_clock::time_point> now = std::nullopt;
};

class ChatTemplate {
 public:
  // `where` names the template in errors. Throws Error for what is no template.
  ChatTemplate(std::string source, std::string where);
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;
  ~ChatTemplate();

  // `messages`: an array of objects, usually {"role": ..., "content": ...}. Throws Error for what
  // the template refuses (raise_exception) or cannot do.
  std::string render(const nlohmann::ordered_json& messages,
                     const ChatTemplateOptions& options = {}) const;

  const std::string& source() const { return source_; }

 private:
  struct Tree;
  std::string source_;
  std::string where_;
  std::unique_ptr<const Tree> tree_;
};

// The template of a model's directory: the file chat_template.jinja, else "chat_template" of
// tokenizer_config.json, which is a text or a list of named ones ("default" counts). nullopt if
// there is none. Of a GGUF file, its key tokenizer.chat_template. Throws Error for damaged files
// and templates.
std::optional<ChatTemplate> find_chat_template(FileSystem& fs, const std::string& directory);

// bos_token and eos_token of a directory's tokenizer_config.json or of a GGUF file; empty where it
// names none.
struct ChatTokens {
  std::string bos = {};
  std::string eos = {};
};
ChatTokens find_chat_tokens(FileSystem& fs, const std::string& directory);

}  // namespace switchyard
