// Methods of strings and dicts, attributes and items.
#include <algorithm>
#include <array>
#include <utility>

#include "formats/chat_template/builtins.h"
#include "formats/chat_template/text_functions.h"
#include "formats/json.h"
#include "formats/tokenizer/unicode.h"
#include "formats/utf8.h"

namespace switchyard::chat_template {
namespace {

using Kind = Value::Kind;
using Strings = std::vector<std::string_view>;

// No text may get as long: whoever would make one is told so before.
constexpr std::size_t kMaxReplaced = std::size_t{1} << 30;

struct Method {
  std::string_view name;
  Value (*call)(Interpreter& in, const Value& self, ArgumentReader& arguments);
};

Value list_of(Interpreter& in, const Strings& texts) {
  std::vector<Value> items;
  for (const std::string_view text : texts) {
    in.charge(text.size() + kValueCost);
    items.emplace_back(text);
  }
  return make_list(in, std::move(items));
}

// strip(), or strip("characters"): `cut` strips white space, `cut_of` the characters.
template <auto cut, auto cut_of>
Value strip(Interpreter& in, const Value& self, ArgumentReader& arguments) {
  const Value* characters = arguments.optional("chars");
  if (characters == nullptr || characters->is(Kind::none)) {
    return make_string(in, std::string(cut(self.string())));
  }
  if (!characters->is(Kind::string)) in.fail("strip() gets " + characters->described(), "a string");
  // Each character at the ends is looked for among them.
  const std::size_t set = characters->string().size();
  in.charge(set > 64 ? self.string().size() / 64 * set : self.string().size());
  return make_string(in, std::string(cut_of(self.string(), characters->string())));
}

std::string_view strip_both(std::string_view text) { return strip_begin(strip_end(text)); }
std::string_view strip_both_of(std::string_view text, std::string_view characters) {
  return strip_begin(strip_end(text, characters), characters);
}
std::string_view begin_only(std::string_view text) { return strip_begin(text); }
std::string_view begin_only_of(std::string_view text, std::string_view characters) {
  return strip_begin(text, characters);
}
std::string_view end_only(std::string_view text) { return strip_end(text); }
std::string_view end_only_of(std::string_view text, std::string_view characters) {
  return strip_end(text, characters);
}

template <std::string (*change)(std::string_view)>
Value changed(Interpreter& in, const Value& self, ArgumentReader&) {
  in.charge(self.string().size() * 2);
  return make_string(in, change(self.string()));
}

template <auto at_spaces, auto at_separator>
Value split(Interpreter& in, const Value& self, ArgumentReader& arguments) {
  const Value* separator = arguments.optional("sep");
  const std::int64_t most = arguments.integer("maxsplit", -1);
  in.charge(self.string().size());
  if (separator == nullptr || separator->is(Kind::none)) {
    return list_of(in, at_spaces(self.string(), most));
  }
  if (!separator->is(Kind::string) || separator->string().empty()) {
    in.fail("split() gets " + separator->described() + " as separator", "some text");
  }
  return list_of(in, at_separator(self.string(), separator->string(), most));
}

// startswith and endswith take a string or a tuple of strings.
template <bool (*matches)(std::string_view, std::string_view)>
Value affix(Interpreter& in, const Value& self, ArgumentReader& arguments) {
  const Value& wanted = arguments.required("prefix");
  if (wanted.is(Kind::string)) return matches(self.string(), wanted.string());
  if (!wanted.is(Kind::list) || wanted.list().form != List::Form::tuple) {
    in.fail("startswith() or endswith() gets " + wanted.described(), "a string or a tuple");
  }
  for (const Value& each : wanted.list().items) {
    in.charge(kValueCost);
    if (!each.is(Kind::string)) in.fail("a tuple of texts holds " + each.described(), "strings");
    if (matches(self.string(), each.string())) return true;
  }
  return false;
}

bool starts(std::string_view text, std::string_view prefix) { return text.starts_with(prefix); }
bool ends(std::string_view text, std::string_view suffix) { return text.ends_with(suffix); }

Value replace(Interpreter& in, const Value& self, ArgumentReader& arguments) {
  const std::string old = arguments.text("old");
  const std::string replacement = arguments.text("new");
  const std::int64_t most = arguments.integer("count", -1);
  return replaced(in, self.string(), old, replacement,
                  most < 0 ? std::nullopt : std::optional(most));
}

Value find(Interpreter& in, const Value& self, ArgumentReader& arguments) {
  const std::string wanted = arguments.text("sub");
  in.charge(self.string().size());
  const std::size_t at = find_text(self.string(), wanted);
  if (at == std::string_view::npos) return -1;
  return static_cast<std::int64_t>(count_characters(std::string_view(self.string()).substr(0, at)));
}

Value rfind(Interpreter& in, const Value& self, ArgumentReader& arguments) {
  const std::string wanted = arguments.text("sub");
  in.charge(self.string().size() * 2);
  if (wanted.empty()) return length_of(in, self);
  const Strings parts = split_at_from_end(self.string(), wanted, 1);
  if (parts.size() == 1) return -1;
  return static_cast<std::int64_t>(count_characters(parts.front()));
}

Value count(Interpreter& in, const Value& self, ArgumentReader& arguments) {
  const std::string wanted = arguments.text("sub");
  in.charge(self.string().size() * 2);
  if (wanted.empty()) return length_of(in, self) + 1;
  return static_cast<std::int64_t>(split_at(self.string(), wanted, -1).size()) - 1;
}

Value join(Interpreter& in, const Value& self, ArgumentReader& arguments) {
  std::string out;
  bool first = true;
  for (const Value& item : items_of(in, arguments.required("iterable"))) {
    if (!item.is(Kind::string))
      in.fail("join() gets " + item.described() + " in its list", "strings");
    in.charge(item.string().size() + self.string().size());
    if (!first) out += self.string();
    first = false;
    out += item.string();
  }
  return make_string(in, std::move(out));
}

Value lines(Interpreter& in, const Value& self, ArgumentReader& arguments) {
  in.charge(self.string().size());
  return list_of(in, split_lines(self.string(), arguments.truth("keepends", false)));
}

Value without_prefix(Interpreter& in, const Value& self, ArgumentReader& arguments) {
  const std::string prefix = arguments.text("prefix");
  const bool there = self.string().starts_with(prefix);
  return make_string(in, self.string().substr(there ? prefix.size() : 0));
}

Value without_suffix(Interpreter& in, const Value& self, ArgumentReader& arguments) {
  const std::string suffix = arguments.text("suffix");
  const bool there = self.string().ends_with(suffix);
  return make_string(in,
                     self.string().substr(0, self.string().size() - (there ? suffix.size() : 0)));
}

template <bool (*holds)(char32_t)>
Value all(Interpreter& in, const Value& self, ArgumentReader&) {
  in.charge(self.string().size());
  for (std::size_t i = 0; i < self.string().size();) {
    if (!holds(next_char(self.string(), i))) return false;
  }
  return !self.string().empty();
}

template <std::string (*change)(std::string_view)>
Value unchanged(Interpreter& in, const Value& self, ArgumentReader&) {
  in.charge(self.string().size() * 4);
  return is_all(self.string(), change);
}

bool is_digit(char32_t c) { return tokenizer::is_number(c); }
bool is_letter(char32_t c) { return tokenizer::char_class(c) == tokenizer::CharClass::letter; }
bool is_letter_or_digit(char32_t c) { return is_letter(c) || is_digit(c); }

constexpr std::array<Method, 26> kStringMethods{{
    {"strip", strip<strip_both, strip_both_of>},
    {"lstrip", strip<begin_only, begin_only_of>},
    {"rstrip", strip<end_only, end_only_of>},
    {"upper", changed<upper_case>},
    {"lower", changed<lower_case>},
    {"capitalize", changed<capitalized>},
    {"title", changed<title_case>},
    {"split", split<split_words, split_at>},
    {"rsplit", split<split_words_from_end, split_at_from_end>},
    {"splitlines", lines},
    {"startswith", affix<starts>},
    {"endswith", affix<ends>},
    {"replace", replace},
    {"find", find},
    {"rfind", rfind},
    {"count", count},
    {"join", join},
    {"removeprefix", without_prefix},
    {"removesuffix", without_suffix},
    {"isdigit", all<is_digit>},
    {"isnumeric", all<is_digit>},
    {"isalpha", all<is_letter>},
    {"isalnum", all<is_letter_or_digit>},
    {"isspace", all<is_space>},
    {"islower", unchanged<lower_case>},
    {"isupper", unchanged<upper_case>},
}};

Value dict_items(Interpreter& in, const Value& self, ArgumentReader&) {
  return items_of_dict(in, self);
}

Value dict_keys(Interpreter& in, const Value& self, ArgumentReader&) {
  return make_list(in, items_of(in, self));
}

Value dict_values(Interpreter& in, const Value& self, ArgumentReader&) {
  std::vector<Value> out;
  for (const auto& item : self.dict().items) out.push_back(item.second);
  return make_list(in, std::move(out));
}

Value dict_get(Interpreter&, const Value& self, ArgumentReader& arguments) {
  const Value& key = arguments.required("key");
  const Value* fallback = arguments.optional("default");
  const Value* found = key.is(Kind::string) ? self.dict().find(key.string()) : nullptr;
  if (found != nullptr) return *found;
  return fallback == nullptr ? Value::none() : *fallback;
}

Value dict_copy(Interpreter&, const Value& self, ArgumentReader&) { return self; }

constexpr std::array<Method, 5> kDictMethods{{
    {"items", dict_items},
    {"keys", dict_keys},
    {"values", dict_values},
    {"get", dict_get},
    {"copy", dict_copy},
}};

// What would change a list or dict; transformers refuses it in templates too.
constexpr std::array<std::string_view, 12> kChanging = {"append", "extend",     "insert",  "remove",
                                                        "sort",   "reverse",    "pop",     "clear",
                                                        "update", "setdefault", "popitem", "add"};

template <std::size_t n>
Value bound(const std::array<Method, n>& methods, const Value& self, const std::string& name) {
  for (const Method& method : methods) {
    if (method.name != name) continue;
    const auto call = [self, &method](Interpreter& in, const Arguments& arguments) {
      ArgumentReader reader(in, std::string(method.name) + "()", arguments);
      Value out = method.call(in, self, reader);
      reader.done();
      return out;
    };
    return Value(std::make_shared<const Callable>(Callable{name, call}));
  }
  return Value::undefined(name);
}

Value list_method(const Value& value, const std::string& name) {
  const bool changes = std::find(kChanging.begin(), kChanging.end(), name) != kChanging.end();
  if (!changes || (!value.is(Kind::list) && !value.is(Kind::dict))) return Value::undefined(name);
  const auto call = [name](Interpreter& in, const Arguments&) -> Value {
    in.fail(name + "() changes a value",
            "a namespace(), a '+' or a {% set %}, as values stay as "
            "they are in chat templates");
    return {};
  };
  return Value(std::make_shared<const Callable>(Callable{name, call}));
}

Value loop_attribute(Context& context, const Loop& loop, const std::string& name) {
  const auto index = static_cast<std::int64_t>(loop.index);
  const auto length = static_cast<std::int64_t>(loop.items->items.size());
  const auto neighbour = [&](bool there, std::size_t at) {
    return there ? loop.items->items[at] : Value::undefined("loop." + name);
  };
  if (name == "index") return index + 1;
  if (name == "index0") return index;
  if (name == "revindex") return length - index;
  if (name == "revindex0") return length - index - 1;
  if (name == "first") return index == 0;
  if (name == "last") return index + 1 == length;
  if (name == "length") return length;
  if (name == "depth") return 1;  // no loop here is recursive
  if (name == "depth0") return 0;
  if (name == "previtem") return neighbour(index > 0, loop.index - 1);
  if (name == "nextitem") return neighbour(index + 1 < length, loop.index + 1);
  if (name == "cycle") {
    const auto call = [at = loop.index](Interpreter& in, const Arguments& arguments) {
      if (arguments.positional.empty()) in.fail("loop.cycle() gets no arguments");
      return arguments.positional[at % arguments.positional.size()];
    };
    return Value(std::make_shared<const Callable>(Callable{"cycle", call}));
  }
  context.fail("loops have no attribute " + shown(name),
               "index, index0, revindex, revindex0, first, last, length, depth, previtem, nextitem "
               "or cycle");
}

std::string name_of(const Value& value, std::string_view attribute) {
  return value.described() + "." + std::string(attribute);
}

}  // namespace

Value method_of(const Value& value, const std::string& name) {
  Value out = Value::undefined(name);
  if (value.is(Kind::string)) out = bound(kStringMethods, value, name);
  if (value.is(Kind::dict)) out = bound(kDictMethods, value, name);
  return out.is(Kind::undefined) ? list_method(value, name) : out;
}

Value items_of_dict(Interpreter& in, const Value& dict) {
  std::vector<Value> out;
  for (const auto& [key, value] : dict.dict().items) {
    in.charge(key.size());
    out.push_back(make_list(in, {Value(key), value}, List::Form::tuple));
  }
  return make_list(in, std::move(out));
}

Value replaced(Interpreter& in, const std::string& text, const std::string& old,
               const std::string& replacement, std::optional<std::int64_t> most) {
  in.charge(text.size());
  // What comes out is paid for before it is made.
  const std::size_t matches =
      old.empty() ? text.size() + 1 : split_at(text, old, most.value_or(-1)).size() - 1;
  in.charge(matches * kValueCost);
  if (replacement.size() > kMaxReplaced / std::max<std::size_t>(matches, 1)) {
    in.fail("a text grows too long");
  }
  in.charge(matches * replacement.size());
  return make_string(in, replace_text(text, old, replacement, most));
}

Value attribute_of(Context& context, const Value& value, const std::string& name) {
  switch (value.kind()) {
    case Kind::undefined:
      context.fail(shown(value.undefined_name()) + " is undefined and is asked for " + shown(name));
    case Kind::space: {
      const Value* found = value.space().find(name);
      return found == nullptr ? Value::undefined(name_of(value, name)) : *found;
    }
    case Kind::loop:
      return loop_attribute(context, value.loop(), name);
    default: {
      Value method = method_of(value, name);
      if (!method.is(Kind::undefined)) return method;
      return item_of(context, value, Value(name));
    }
  }
}

Value item_of(Context& context, const Value& value, const Value& key) {
  const std::string name = key.is(Kind::string) ? key.string() : std::string("an item");
  switch (value.kind()) {
    case Kind::undefined:
      context.fail(shown(value.undefined_name()) + " is undefined and is asked for " + shown(name));
    case Kind::dict: {
      if (!key.is(Kind::string)) return Value::undefined(name_of(value, name));
      const Value* found = value.dict().find(key.string());
      if (found != nullptr) return *found;
      const Value method = method_of(value, key.string());
      return method.is(Kind::undefined) ? Value::undefined(key.string()) : method;
    }
    case Kind::list:
    case Kind::string: {
      if (key.is(Kind::string)) {
        const Value method = method_of(value, key.string());
        return method.is(Kind::undefined) ? Value::undefined(name_of(value, name)) : method;
      }
      if (!key.is(Kind::integer) && !key.is(Kind::boolean)) {
        return Value::undefined(name_of(value, name));
      }
      const std::int64_t size = length_of(context, value);
      const std::int64_t at = key.integer() < 0 ? key.integer() + size : key.integer();
      if (at < 0 || at >= size) return Value::undefined("item " + std::to_string(key.integer()));
      const auto place = static_cast<std::size_t>(at);
      if (value.is(Kind::list)) return value.list().items[place];
      return Value(characters_of(value.string())[place]);
    }
    case Kind::space:
    case Kind::loop:
      if (key.is(Kind::string)) return attribute_of(context, value, key.string());
      return Value::undefined(name_of(value, name));
    default:
      return Value::undefined(name_of(value, name));
  }
}

}  // namespace switchyard::chat_template
