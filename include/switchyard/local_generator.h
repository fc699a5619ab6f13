// A model of this machine as an api::Generator: tokenizer, engine, sampler and stop texts in one.
//
// Thread rule: one generate() at a time.
#pragma once

#include <memory>
#include <string>

#include "switchyard/generator.h"
#include "switchyard/runtime.h"
#include "switchyard/tokenizer.h"

namespace switchyard::runtime {

class LocalGenerator : public api::Generator {
 public:
  LocalGenerator(std::string name, std::shared_ptr<const Model> model, Tokenizer tokenizer,
                 Engine::Options options = {});

  std::string_view name() const override { return name_; }
  // The prompt is encoded with the tokenizer's special tokens (BOS where the model has one). Ends
  // at an end-of-text token, a stop text, max_tokens, a full context, or `stop`.
  api::Result generate(const api::Request& request,
                       const std::function<void(std::string_view)>& on_text = {},
                       std::stop_token stop = {}) override;

  // Continues a session, e.g. of a chat. On return `session` holds prompt and answer in full, the
  // last token included (if the context has room for it), so that the next call goes on from there.
  api::Result continue_session(Session& session, const api::Request& request,
                               const std::function<void(std::string_view)>& on_text,
                               std::stop_token stop);

  const Tokenizer& tokenizer() const { return tokenizer_; }
  Engine& engine() { return engine_; }

 private:
  api::Result answer(Session& session, const api::Request& request,
                     const std::function<void(std::string_view)>& on_text, std::stop_token stop);

  std::string name_;
  Tokenizer tokenizer_;
  Engine engine_;
};

}  // namespace switchyard::runtime
