#include "switchyard/chat_template.h"

#include <utility>

#include "switchyard/error.h"
#include "switchyard/gguf.h"
#include "switchyard/model_files.h"

#include "formats/chat_template/interpreter.h"
#include "formats/chat_template/lexer.h"
#include "formats/chat_template/parser.h"
#include "formats/json.h"
#include "formats/utf8.h"

namespace switchyard {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// The longest in use has some 20 kB.
constexpr std::size_t kMaxSourceBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxConfigBytes = std::size_t{64} << 20;

class Converter {
 public:
  Converter(chat_template::Context& context, const std::string& what)
      : context_(context), what_(what) {}

  chat_template::Value convert(const ordered_json& value, int depth = 0) {
    using chat_template::Value;
    // Deeper values could not be held anyway; this bounds the recursion.
    constexpr int kMaxDepth = 64;
    if (depth > kMaxDepth) context_.fail(what_ + " nest too deeply");
    switch (value.type()) {
      case ordered_json::value_t::null:
        return Value::none();
      case ordered_json::value_t::boolean:
        return value.get<bool>();
      case ordered_json::value_t::number_integer:
        return value.get<std::int64_t>();
      case ordered_json::value_t::number_unsigned: {
        const auto number = value.get<std::uint64_t>();
        constexpr std::uint64_t kLargest = std::uint64_t{1} << 63;
        return number < kLargest ? Value(static_cast<std::int64_t>(number))
                                 : Value(static_cast<double>(number));
      }
      case ordered_json::value_t::number_float:
        return value.get<double>();
      case ordered_json::value_t::string:
        return text(value.get_ref<const std::string&>());
      case ordered_json::value_t::array: {
        std::vector<Value> items;
        for (const ordered_json& item : value) items.push_back(convert(item, depth + 1));
        return chat_template::make_list(context_, std::move(items));
      }
      case ordered_json::value_t::object: {
        std::vector<std::pair<std::string, Value>> items;
        for (const auto& [key, item] : value.items()) {
          items.emplace_back(text(key).string(), convert(item, depth + 1));
        }
        return chat_template::make_dict(context_, std::move(items));
      }
      default:
        break;
    }
    context_.fail(what_ + " hold a value that is no JSON");
  }

 private:
  chat_template::Value text(const std::string& text) {
    if (find_invalid_utf8(text) != std::string_view::npos) {
      context_.fail(what_ + " hold a text that is not UTF-8");
    }
    return chat_template::make_string(context_, text);
  }

  chat_template::Context& context_;
  const std::string& what_;
};

std::string in_directory(const std::string& directory, const std::string& name) {
  return directory.ends_with('/') ? directory + name : directory + "/" + name;
}

// tokenizer_config.json, null if there is none.
json read_config(FileSystem& fs, const std::string& path) {
  if (!fs.exists(path)) return nullptr;
  return parse_json(read_file(fs, path, kMaxConfigBytes), path);
}

// The text under "chat_template".
std::optional<std::string> template_text(const JsonFields& config) {
  const json* value = config.get("chat_template");
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  if (!value->is_array()) config.fail("chat_template", "a text or a list of named texts");
  for (const json& entry : *value) {
    const JsonFields named(entry, config.where() + ": chat_template");
    if (named.text("name") == "default") return named.text("template");
  }
  config.fail("chat_template", "a template with the name 'default'");
}

std::string token_text(const JsonFields& config, const std::string& name) {
  const json* value = config.get(name);
  if (value == nullptr) return {};
  if (value->is_string()) return value->get<std::string>();
  return JsonFields(*value, config.where() + ": " + name).text("content", "");
}

}  // namespace

struct ChatTemplate::Tree {
  chat_template::Body body;
};

ChatTemplate::ChatTemplate(std::string source, std::string where)
    : source_(std::move(source)), where_(std::move(where)) {
  if (source_.size() > kMaxSourceBytes) {
    throw Error({.what = "the chat template has " + std::to_string(source_.size()) + " bytes",
                 .where = where_,
                 .expected = "at most " + std::to_string(kMaxSourceBytes),
                 .fix = {}});
  }
  if (const std::size_t at = find_invalid_utf8(source_); at != std::string_view::npos) {
    throw Error({.what = "the chat template is not UTF-8 at byte " + std::to_string(at),
                 .where = where_,
                 .expected = "well-formed UTF-8",
                 .fix = {}});
  }
  tree_ = std::make_unique<const Tree>(
      Tree{chat_template::parse(chat_template::lex(source_, where_), where_)});
}

ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;
ChatTemplate::~ChatTemplate() = default;

std::string ChatTemplate::render(const ordered_json& messages,
                                 const ChatTemplateOptions& options) const {
  chat_template::Interpreter interpreter(where_, options.now);
  const auto give = [&](const std::string& name, const ordered_json& value,
                        const std::string& what) {
    interpreter.set_global(name, Converter(interpreter, what).convert(value));
  };
  if (!messages.is_array()) {
    throw Error({.what = std::string("the messages are a JSON ") + messages.type_name(),
                 .where = "messages",
                 .expected = "an array of objects with role and content",
                 .fix = {}});
  }
  give("messages", messages, "the messages");
  give("tools", options.tools, "the tools");
  give("bos_token", options.bos_token, "the tokens");
  give("eos_token", options.eos_token, "the tokens");
  give("add_generation_prompt", options.add_generation_prompt, "the options");
  if (!options.variables.is_object()) {
    throw Error({.what = std::string("the variables are a JSON ") + options.variables.type_name(),
                 .where = "variables of the chat template",
                 .expected = "an object of names and values",
                 .fix = {}});
  }
  for (const auto& [name, value] : options.variables.items()) give(name, value, "the variables");
  return interpreter.render(tree_->body);
}

std::optional<ChatTemplate> find_chat_template(FileSystem& fs, const std::string& directory) {
  if (is_gguf(fs, directory)) {
    std::string text = GgufReader(fs, directory).metadata().text("tokenizer.chat_template", "");
    if (text.empty()) return std::nullopt;
    return ChatTemplate(std::move(text), directory + ": tokenizer.chat_template");
  }
  const std::string file = in_directory(directory, "chat_template.jinja");
  if (fs.exists(file)) return ChatTemplate(read_file(fs, file, kMaxSourceBytes), file);
  const std::string path = in_directory(directory, "tokenizer_config.json");
  const json config = read_config(fs, path);
  if (config.is_null()) return std::nullopt;
  std::optional<std::string> text = template_text(JsonFields(config, path));
  if (!text) return std::nullopt;
  return ChatTemplate(std::move(*text), path + ": chat_template");
}

// The text of the token that a key of a GGUF file gives the id of; empty where it gives none.
std::string gguf_token(const GgufMetadata& metadata, const std::string& key) {
  if (!metadata.has(key)) return {};
  const std::vector<std::string>& tokens = metadata.texts("tokenizer.ggml.tokens");
  const std::int64_t id = metadata.integer(key, 0, static_cast<std::int64_t>(tokens.size()) - 1);
  return tokens[static_cast<std::size_t>(id)];
}

ChatTokens find_chat_tokens(FileSystem& fs, const std::string& directory) {
  if (is_gguf(fs, directory)) {
    const GgufReader gguf(fs, directory);
    return {.bos = gguf_token(gguf.metadata(), "tokenizer.ggml.bos_token_id"),
            .eos = gguf_token(gguf.metadata(), "tokenizer.ggml.eos_token_id")};
  }
  const std::string path = in_directory(directory, "tokenizer_config.json");
  const json config = read_config(fs, path);
  if (config.is_null()) return {};
  const JsonFields fields(config, path);
  return {.bos = token_text(fields, "bos_token"), .eos = token_text(fields, "eos_token")};
}

}  // namespace switchyard
