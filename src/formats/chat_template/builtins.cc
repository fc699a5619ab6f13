#include "formats/chat_template/builtins.h"

#include <algorithm>
#include <ctime>

#include "formats/json.h"

namespace switchyard::chat_template {
namespace {

using Kind = Value::Kind;

constexpr std::int64_t kMaxRange = 1'000'000;

Value function(std::string name, std::function<Value(Interpreter&, const Arguments&)> call) {
  return Value(std::make_shared<const Callable>(Callable{std::move(name), std::move(call)}));
}

Value range(Interpreter& in, const Arguments& arguments) {
  const auto& given = arguments.positional;
  if (given.empty() || given.size() > 3 || !arguments.named.empty()) {
    in.fail("range() gets " + std::to_string(given.size()) + " arguments", "1 to 3 numbers");
  }
  for (const Value& value : given) {
    if (!value.is(Kind::integer)) in.fail("range() gets " + value.described(), "whole numbers");
  }
  const std::int64_t begin = given.size() > 1 ? given[0].integer() : 0;
  const std::int64_t end = given.size() > 1 ? given[1].integer() : given[0].integer();
  const std::int64_t step = given.size() > 2 ? given[2].integer() : 1;
  if (step == 0) in.fail("range() gets the step 0");
  std::vector<Value> out;
  for (std::int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (out.size() >= static_cast<std::size_t>(kMaxRange)) {
      in.fail("range() is too long", "at most " + std::to_string(kMaxRange) + " numbers");
    }
    in.charge(kValueCost);
    out.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return make_list(in, std::move(out));
}

Value make_namespace(Interpreter& in, const Arguments& arguments) {
  Namespace& space = in.new_namespace();
  for (const Value& value : arguments.positional) {
    if (!value.is(Kind::dict)) in.fail("namespace() gets " + value.described(), "dicts or names");
    for (const auto& [key, item] : value.dict().items) {
      in.charge(kValueCost * (1 + space.items.size()));
      space.set(key, item);
    }
  }
  for (const auto& [name, value] : arguments.named) space.set(name, value);
  return Value(&space);
}

Value make_dict_of(Interpreter& in, const Arguments& arguments) {
  std::vector<std::pair<std::string, Value>> items;
  for (const Value& value : arguments.positional) {
    if (!value.is(Kind::dict)) in.fail("dict() gets " + value.described(), "dicts or names");
    items.insert(items.end(), value.dict().items.begin(), value.dict().items.end());
  }
  items.insert(items.end(), arguments.named.begin(), arguments.named.end());
  return make_dict(in, std::move(items));
}

Value raise_exception(Interpreter& in, const Arguments& arguments) {
  ArgumentReader reader(in, "raise_exception()", arguments);
  in.fail("the template refuses the conversation: " +
          shown(to_text(in, reader.required("message"))));
  return {};
}

Value strftime_now(Interpreter& in, const Arguments& arguments) {
  ArgumentReader reader(in, "strftime_now()", arguments);
  const std::string format = reader.text("format");
  reader.done();
  constexpr std::size_t kMaxFormatBytes = 256;
  if (format.size() > kMaxFormatBytes || format.find('\0') != std::string::npos) {
    in.fail("the format of strftime_now() is too long");
  }
  if (format.empty()) return Value("");
  const std::time_t seconds = std::chrono::system_clock::to_time_t(in.now());
  std::tm parts{};
  localtime_r(&seconds, &parts);
  std::vector<char> buffer(16 * 1024);
  const std::size_t written = std::strftime(buffer.data(), buffer.size(), format.c_str(), &parts);
  return make_string(in, std::string(buffer.data(), written));
}

}  // namespace

std::vector<std::pair<std::string, Value>> global_functions() {
  return {{"range", function("range", range)},
          {"namespace", function("namespace", make_namespace)},
          {"dict", function("dict", make_dict_of)},
          {"raise_exception", function("raise_exception", raise_exception)},
          {"strftime_now", function("strftime_now", strftime_now)}};
}

const Value* ArgumentReader::optional(std::string_view name) {
  if (next_ < arguments_.positional.size()) return &arguments_.positional[next_++];
  for (const auto& [key, value] : arguments_.named) {
    if (key != name) continue;
    ++named_used_;
    return &value;
  }
  return nullptr;
}

const Value& ArgumentReader::required(std::string_view name) {
  const Value* value = optional(name);
  if (value == nullptr) in_.fail(what_ + " lacks its argument " + shown(name));
  return *value;
}

std::string ArgumentReader::text(std::string_view name) {
  const Value& value = required(name);
  if (!value.is(Kind::string)) {
    in_.fail(what_ + " gets " + value.described() + " as " + shown(name), "a string");
  }
  in_.charge(value.string().size());
  return value.string();
}

std::string ArgumentReader::text(std::string_view name, std::string_view fallback) {
  const Value* value = optional(name);
  return value == nullptr || value->is(Kind::undefined) ? std::string(fallback)
                                                        : to_text(in_, *value);
}

std::int64_t ArgumentReader::integer(std::string_view name, std::int64_t fallback) {
  const Value* value = optional(name);
  if (value == nullptr || value->is(Kind::none)) return fallback;
  if (!value->is(Kind::integer) && !value->is(Kind::boolean)) {
    in_.fail(what_ + " gets " + value->described() + " as " + shown(name), "a whole number");
  }
  return value->integer();
}

bool ArgumentReader::truth(std::string_view name, bool fallback) {
  const Value* value = optional(name);
  return value == nullptr ? fallback : value->truth();
}

void ArgumentReader::done() {
  if (next_ < arguments_.positional.size() || named_used_ < arguments_.named.size()) {
    in_.fail(what_ + " gets more arguments than it takes");
  }
}

}  // namespace switchyard::chat_template
