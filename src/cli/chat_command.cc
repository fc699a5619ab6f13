// switchyard chat: a conversation in the terminal. The session keeps what was said, so a turn costs
// only its own tokens.
#include <fmt/format.h>
#include <iostream>
#include <optional>

#include "switchyard/error.h"

#include "cli/chat_prompt.h"
#include "cli/model_flags.h"
#include "cli/parse.h"
#include "cli/sampling_flags.h"

namespace switchyard::cli {
namespace {

// How a turn is wrapped before the model sees it; {} stands for what the user typed.
std::string fill(const std::string& pattern, const std::string& text) {
  const std::size_t at = pattern.find("{}");
  if (at == std::string::npos) {
    throw Error({.what = "the template has no place for the text",
                 .where = "--template",
                 .expected = "a text with {} in it, such as \"User: {}\\nAssistant:\"",
                 .fix = {}});
  }
  return pattern.substr(0, at) + text + pattern.substr(at + 2);
}

std::string unescape(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '\\' && i + 1 < text.size();
    if (escape && text[i + 1] == 'n') {
      out += '\n';
      ++i;
    } else if (escape && text[i + 1] == 't') {
      out += '\t';
      ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

// The template of the model's directory, unless the command line gives one of its own.
std::optional<ChatPrompt> find_prompt(const std::string& model, const std::string& system,
                                      const Tokenizer& tokenizer, Console& console) {
  std::optional<ChatTemplate> chat_template = find_chat_template(console.files, model);
  if (!chat_template) return std::nullopt;
  return ChatPrompt(std::move(*chat_template), find_chat_tokens(console.files, model), system,
                    tokenizer);
}

}  // namespace

int run_chat(const Arguments& arguments, Console& console) {
  ModelFlags model_flags;
  api::Request request;
  std::string system;
  std::string pattern = "{}";
  auto app = make_app(
      "chat", "Talks with a model. /reset forgets the conversation, /quit or Ctrl-D ends it.",
      "switchyard chat models/tiny-stories-moe --template \"{}\" -n 80");
  model_flags.add_to(*app);
  app->add_option("--system", system, "text put before the first turn");
  auto* own_pattern =
      app->add_option("--template", pattern,
                      "how a turn is wrapped: {} is what you typed, \\n a new line; "
                      "without it the model's chat template, if it has one")
          ->capture_default_str();
  app->add_option("-n,--n-predict", request.max_tokens, "most tokens an answer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app->add_option("--stop", request.stop, "text that ends an answer (may be given several times)")
      ->allow_extra_args(false);
  add_sampling_flags(*app, request.sampling);
  if (!parse(*app, arguments, console)) return kDone;
  if (model_flags.print_plan(console)) return kDone;
  validate(request.sampling);
  pattern = unescape(pattern);
  static_cast<void>(fill(pattern, ""));

  Tokenizer tokenizer = Tokenizer::load(console.files, model_flags.model);
  runtime::LocalGenerator generator(model_flags.model, model_flags.open(console),
                                    std::move(tokenizer), {.threads = model_flags.threads});
  std::optional<ChatPrompt> prompt =
      own_pattern->count() > 0
          ? std::nullopt
          : find_prompt(model_flags.model, system, generator.tokenizer(), console);
  runtime::Session session = generator.engine().new_session();
  std::string line;
  while (!console.stop.stop_requested()) {
    console.out << "> " << std::flush;
    if (!std::getline(console.in, line)) break;
    if (line == "/quit") break;
    if (line == "/reset") {
      session.truncate(0);
      if (prompt) prompt->reset();
      continue;
    }
    if (line.empty()) continue;
    try {
      if (prompt) {
        request.prompt_tokens = prompt->ask(line, session);
      } else {
        request.prompt = (session.length() == 0 ? system : std::string()) + fill(pattern, line);
      }
      const api::Result result = generator.continue_session(
          session, request, [&](std::string_view text) { console.out << text << std::flush; },
          console.stop);
      if (prompt) prompt->answered(result, session);
    } catch (const Error& e) {
      // Most likely the context is full: the conversation can go on from an empty one.
      console.err << "switchyard: " << e.what() << "; /reset starts again\n";
      if (prompt) prompt->failed(session);
    }
    console.out << '\n';
    ++request.sampling.seed;  // the same seed in every turn would repeat its draws
  }
  console.out << '\n';
  return kDone;
}

}  // namespace switchyard::cli
