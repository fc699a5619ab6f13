// Rendering in one line, for the tests of this folder.
#pragma once

#include <string>

#include "switchyard/chat_template.h"

#include "support/errors.h"

namespace switchyard::chat_template {

using nlohmann::ordered_json;

// A conversation of four turns.
inline ordered_json conversation() {
  return ordered_json::parse(R"([
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": " Hi "},
    {"role": "assistant", "content": "Hello"},
    {"role": "user", "content": "2 + 2?"}])");
}

inline std::string render(const std::string& source, const ordered_json& variables = {},
                          const ordered_json& messages = ordered_json::array()) {
  ChatTemplateOptions options{.bos_token = "<s>", .eos_token = "</s>"};
  if (!variables.is_null()) options.variables = variables;
  return ChatTemplate(source, "t").render(messages, options);
}

// What {{ expression }} writes.
inline std::string value(const std::string& expression, const ordered_json& variables = {}) {
  return render("{{ " + expression + " }}", variables);
}

inline Error::Parts refusal(const std::string& source, const ordered_json& variables = {}) {
  return testing_support::error_of([&] { render(source, variables); });
}

}  // namespace switchyard::chat_template
