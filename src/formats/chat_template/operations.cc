#include "formats/chat_template/operations.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "switchyard/error.h"

#include "formats/chat_template/text_functions.h"
#include "formats/json.h"
#include "formats/utf8.h"

namespace switchyard::chat_template {
namespace {

using Kind = Value::Kind;

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxTextBytes = std::size_t{32} << 20;

template <typename Container>
void set_depth(Context& context, Container& container, int deepest) {
  container.depth = deepest + 1;
  if (container.depth > kMaxDepth) {
    context.fail("values are nested too deeply",
                 "at most " + std::to_string(kMaxDepth) + " levels");
  }
}

void refuse_lazy(Context& context, const Value& value, const std::string& what) {
  if (!value.is(Kind::list) || value.list().form != List::Form::lazy) return;
  context.fail("what a lazy filter gives has no " + what, "the filter 'list' behind it");
}

// As Python quotes a string: double quotes only where they save escapes.
std::string quoted(const std::string& text) {
  const bool apostrophe = text.find('\'') != std::string::npos;
  const char quote = apostrophe && text.find('"') == std::string::npos ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == quote || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      out += "\\x";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    } else {
      out += c;
    }
  }
  return out += quote;
}

int sign_of(double a, double b) { return a < b ? -1 : a > b ? 1 : 0; }

int compare_numbers(const Value& a, const Value& b) {
  if (a.is(Kind::real) || b.is(Kind::real)) return sign_of(a.real(), b.real());
  return a.integer() < b.integer() ? -1 : a.integer() > b.integer() ? 1 : 0;
}

Value real_result(Context& context, std::string_view symbol, double a, double b) {
  if (symbol == "+") return a + b;
  if (symbol == "-") return a - b;
  if (symbol == "*") return a * b;
  if (symbol == "**") return std::pow(a, b);
  if (b == 0) context.fail("a number is divided by zero");
  if (symbol == "/") return a / b;
  if (symbol == "//") return std::floor(a / b);
  const double rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

// nullopt-like: false where the result does not fit.
bool power(std::int64_t base, std::int64_t exponent, std::int64_t& out) {
  out = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(out, base, &out)) return false;
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) return false;
  }
  return true;
}

Value integer_result(Context& context, std::string_view symbol, std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  bool fits = true;
  if (symbol == "+") {
    fits = !__builtin_add_overflow(a, b, &out);
  } else if (symbol == "-") {
    fits = !__builtin_sub_overflow(a, b, &out);
  } else if (symbol == "*") {
    fits = !__builtin_mul_overflow(a, b, &out);
  } else if (symbol == "**") {
    if (b < 0) return real_result(context, symbol, static_cast<double>(a), static_cast<double>(b));
    fits = power(a, b, out);
  } else if (b == 0) {
    context.fail("a number is divided by zero");
  } else if (symbol == "/") {
    return static_cast<double>(a) / static_cast<double>(b);
  } else if (b == -1) {  // the one quotient that may not fit
    fits = symbol == "%" || !__builtin_sub_overflow(std::int64_t{0}, a, &out);
  } else {
    const std::int64_t rest = a % b;
    const bool other_side = rest != 0 && (rest < 0) != (b < 0);
    out = symbol == "%" ? (other_side ? rest + b : rest) : a / b - (other_side ? 1 : 0);
  }
  if (!fits) context.fail("a number grows beyond 64 bits");
  return out;
}

Value repeated(Context& context, const Value& value, std::int64_t times) {
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(times, 0));
  const std::size_t size =
      value.is(Kind::string) ? value.string().size() : value.list().items.size() * kValueCost;
  if (size != 0 && count > kMaxTextBytes / size) context.fail("a repetition is too long");
  context.charge(size * count);
  if (value.is(Kind::string)) {
    std::string out;
    for (std::size_t i = 0; i < count && size != 0; ++i) out += value.string();
    return make_string(context, std::move(out));
  }
  std::vector<Value> items;
  for (std::size_t i = 0; i < count && size != 0; ++i) {
    items.insert(items.end(), value.list().items.begin(), value.list().items.end());
  }
  return make_list(context, std::move(items), value.list().form);
}

[[noreturn]] void no_operation(Context& context, std::string_view symbol, const Value& a,
                               const Value& b) {
  for (const Value* value : {&a, &b}) {
    if (value->is(Kind::undefined)) {
      context.fail(shown(value->undefined_name()) + " is undefined");
    }
  }
  context.fail("'" + std::string(symbol) + "' between " + a.described() + " and " + b.described() +
               " means nothing");
}

// A position counted from the end if negative, cut to the range.
std::int64_t bound(Context& context, const Value& value, std::int64_t size, std::int64_t low,
                   std::int64_t high, std::int64_t missing) {
  if (value.is(Kind::none)) return missing;
  if (!value.is(Kind::integer) && !value.is(Kind::boolean)) {
    context.fail("a slice has " + value.described() + " as a bound", "whole numbers");
  }
  std::int64_t position = value.integer();
  if (position < 0) position = position < -size ? low : position + size;
  return std::clamp(position, low, high);
}

void write_json_string(const std::string& text, bool ascii, std::string& out) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const auto escape = [&](unsigned unit) {
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += kDigits[unit >> shift & 15];
  };
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t begin = i;
    const char32_t c = next_char(text, i);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\b') {
      out += "\\b";
    } else if (c == '\f') {
      out += "\\f";
    } else if (c < 0x20 || (ascii && c >= 0x7F && c < 0x10000 && c != 0x7F)) {
      escape(static_cast<unsigned>(c));
    } else if (ascii && c >= 0x10000) {
      escape(static_cast<unsigned>(0xD800 + ((c - 0x10000) >> 10)));
      escape(static_cast<unsigned>(0xDC00 + ((c - 0x10000) & 0x3FF)));
    } else {
      out += text.substr(begin, i - begin);
    }
  }
  out += '"';
}

class JsonWriter {
 public:
  JsonWriter(Context& context, const JsonStyle& style) : context_(context), style_(style) {}

  std::string write(const Value& value) {
    put(value, 0);
    return std::move(out_);
  }

 private:
  void put(const Value& value, int level) {
    context_.charge(kValueCost);
    switch (value.kind()) {
      case Kind::none:
        out_ += "null";
        return;
      case Kind::boolean:
        out_ += value.boolean() ? "true" : "false";
        return;
      case Kind::integer:
        out_ += std::to_string(value.integer());
        return;
      case Kind::real:
        out_ += json_real(value.real());
        return;
      case Kind::string:
        context_.charge(value.string().size());
        write_json_string(value.string(), style_.ascii, out_);
        return;
      case Kind::list:
        refuse_lazy(context_, value, "JSON");
        return container('[', ']', value.list().items, level,
                         [&](const Value& item) { put(item, level + 1); });
      case Kind::dict:
        return put_dict(value.dict(), level);
      case Kind::undefined:
        context_.fail(shown(value.undefined_name()) + " is undefined and has no JSON");
      default:
        context_.fail(value.described() + " has no JSON");
    }
  }

  void put_dict(const Dict& dict, int level) {
    std::vector<const std::pair<std::string, Value>*> items;
    for (const auto& item : dict.items) items.push_back(&item);
    if (style_.sort_keys) {
      std::sort(items.begin(), items.end(),
                [](const auto* a, const auto* b) { return a->first < b->first; });
    }
    container('{', '}', items, level, [&](const auto* item) {
      context_.charge(item->first.size());
      write_json_string(item->first, style_.ascii, out_);
      out_ += style_.key_separator;
      put(item->second, level + 1);
    });
  }

  template <typename Items, typename Put>
  void container(char open, char close, const Items& items, int level, Put put_item) {
    out_ += open;
    bool first = true;
    for (const auto& item : items) {
      if (!first) out_ += style_.item_separator;
      first = false;
      new_line(level + 1);
      put_item(item);
    }
    if (!first) new_line(level);
    out_ += close;
  }

  void new_line(int level) {
    if (!style_.lines) return;
    context_.charge(style_.indent.size() * static_cast<std::size_t>(level));
    out_ += '\n';
    for (int i = 0; i < level; ++i) out_ += style_.indent;
  }

  static std::string json_real(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
    return real_text(value);
  }

  Context& context_;
  const JsonStyle& style_;
  std::string out_;
};

}  // namespace

void Context::fail(const std::string& what, const std::string& expected) const {
  throw Error({.what = what, .where = place(), .expected = expected, .fix = {}});
}

Value make_list(Context& context, std::vector<Value> items, List::Form form) {
  context.charge(items.size() * kValueCost);
  auto list = std::make_shared<List>();
  int deepest = 0;
  for (const Value& item : items) deepest = std::max(deepest, item.depth());
  list->items = std::move(items);
  list->form = form;
  set_depth(context, *list, deepest);
  return Value(std::shared_ptr<const List>(std::move(list)));
}

Value make_dict(Context& context, std::vector<std::pair<std::string, Value>> items) {
  context.charge(items.size() * kValueCost);
  auto dict = std::make_shared<Dict>();
  dict->items.reserve(items.size());  // the index points into the keys
  int deepest = 0;
  for (auto& [key, value] : items) {
    deepest = std::max(deepest, value.depth());
    if (const auto place = dict->places.find(key); place != dict->places.end()) {
      dict->items[place->second].second = std::move(value);
      continue;
    }
    dict->items.emplace_back(std::move(key), std::move(value));
    dict->places.emplace(dict->items.back().first, dict->items.size() - 1);
  }
  set_depth(context, *dict, deepest);
  return Value(std::shared_ptr<const Dict>(std::move(dict)));
}

Value make_string(Context& context, std::string text) {
  context.charge(text.size());
  if (text.size() > kMaxTextBytes) {
    context.fail("a text grows beyond " + std::to_string(kMaxTextBytes) + " bytes");
  }
  return Value(std::move(text));
}

std::string to_text(Context& context, const Value& value) {
  if (value.is(Kind::undefined)) return {};
  if (!value.is(Kind::string)) return to_repr(context, value);
  context.charge(value.string().size());
  return value.string();
}

std::string to_repr(Context& context, const Value& value) {
  context.charge(kValueCost);
  switch (value.kind()) {
    case Kind::undefined:
      return "Undefined";
    case Kind::none:
      return "None";
    case Kind::boolean:
      return value.boolean() ? "True" : "False";
    case Kind::integer:
      return std::to_string(value.integer());
    case Kind::real:
      return real_text(value.real());
    case Kind::string:
      context.charge(value.string().size());
      return quoted(value.string());
    case Kind::list: {
      const List& list = value.list();
      refuse_lazy(context, value, "text");
      const bool tuple = list.form == List::Form::tuple;
      std::string out(1, tuple ? '(' : '[');
      for (const Value& item : list.items) {
        if (&item != &list.items.front()) out += ", ";
        out += to_repr(context, item);
      }
      if (tuple && list.items.size() == 1) out += ',';
      return out += tuple ? ')' : ']';
    }
    case Kind::dict: {
      std::string out = "{";
      for (const auto& [key, item] : value.dict().items) {
        if (out.size() > 1) out += ", ";
        context.charge(key.size());
        out += quoted(key) + ": " + to_repr(context, item);
      }
      return out += '}';
    }
    default:
      context.fail(value.described() + " has no text");
  }
}

bool equal(Context& context, const Value& a, const Value& b) {
  context.charge(kValueCost);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::string:
      context.charge(std::min(a.string().size(), b.string().size()));
      return a.string() == b.string();
    case Kind::list:
      return a.list().form == b.list().form &&
             std::equal(a.list().items.begin(), a.list().items.end(), b.list().items.begin(),
                        b.list().items.end(),
                        [&](const Value& x, const Value& y) { return equal(context, x, y); });
    case Kind::dict:
      return a.dict().items.size() == b.dict().items.size() &&
             std::all_of(a.dict().items.begin(), a.dict().items.end(), [&](const auto& item) {
               const Value* other = b.dict().find(item.first);
               return other != nullptr && equal(context, item.second, *other);
             });
    case Kind::space:
      return &a.space() == &b.space();
    case Kind::loop:
      return &a.loop() == &b.loop();
    case Kind::callable:
      return &a.callable() == &b.callable();
    default:
      return true;  // none and undefined
  }
}

bool less(Context& context, const Value& a, const Value& b) {
  context.charge(kValueCost);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) < 0;
  if (a.is(Kind::string) && b.is(Kind::string)) {
    context.charge(std::min(a.string().size(), b.string().size()));
    return a.string() < b.string();
  }
  if (a.is(Kind::list) && b.is(Kind::list) && a.list().form == b.list().form) {
    const auto& x = a.list().items;
    const auto& y = b.list().items;
    for (std::size_t i = 0; i < x.size() && i < y.size(); ++i) {
      if (!equal(context, x[i], y[i])) return less(context, x[i], y[i]);
    }
    return x.size() < y.size();
  }
  no_operation(context, "<", a, b);
}

bool contains(Context& context, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::undefined:
      return false;
    case Kind::string:
      if (!item.is(Kind::string)) no_operation(context, "in", item, container);
      context.charge(container.string().size() + item.string().size());
      return find_text(container.string(), item.string()) != std::string_view::npos;
    case Kind::list:
      return std::any_of(container.list().items.begin(), container.list().items.end(),
                         [&](const Value& each) { return equal(context, each, item); });
    case Kind::dict:
      return item.is(Kind::string) && container.dict().find(item.string()) != nullptr;
    default:
      no_operation(context, "in", item, container);
  }
}

std::vector<Value> items_of(Context& context, const Value& value) {
  std::vector<Value> out;
  switch (value.kind()) {
    case Kind::undefined:
      return out;
    case Kind::list:
      context.charge(value.list().items.size() * kValueCost);
      return value.list().items;
    case Kind::string:
      context.charge(value.string().size() * kValueCost);
      for (const std::string_view character : characters_of(value.string())) {
        out.emplace_back(character);
      }
      return out;
    case Kind::dict:
      context.charge(value.dict().items.size() * kValueCost);
      for (const auto& [key, item] : value.dict().items) out.emplace_back(key);
      return out;
    default:
      context.fail("there is nothing to go through in " + value.described(),
                   "a list, a dict or a string");
  }
}

std::int64_t length_of(Context& context, const Value& value) {
  switch (value.kind()) {
    case Kind::undefined:
      return 0;
    case Kind::list:
      refuse_lazy(context, value, "length");
      return static_cast<std::int64_t>(value.list().items.size());
    case Kind::dict:
      return static_cast<std::int64_t>(value.dict().items.size());
    case Kind::string:
      context.charge(value.string().size());
      return static_cast<std::int64_t>(count_characters(value.string()));
    default:
      context.fail(value.described() + " has no length");
  }
}

Value arithmetic(Context& context, std::string_view symbol, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is(Kind::real) || b.is(Kind::real)) {
      return real_result(context, symbol, a.real(), b.real());
    }
    return integer_result(context, symbol, a.integer(), b.integer());
  }
  if (symbol == "+" && a.is(Kind::string) && b.is(Kind::string)) {
    context.charge(a.string().size() + b.string().size());
    return make_string(context, a.string() + b.string());
  }
  if (symbol == "+" && a.is(Kind::list) && b.is(Kind::list) && a.list().form == b.list().form) {
    context.charge((a.list().items.size() + b.list().items.size()) * kValueCost);
    std::vector<Value> items = a.list().items;
    items.insert(items.end(), b.list().items.begin(), b.list().items.end());
    return make_list(context, std::move(items), a.list().form);
  }
  const auto repeats = [](const Value& value) {
    return value.is(Kind::string) || value.is(Kind::list);
  };
  const auto counts = [](const Value& value) {
    return value.is(Kind::integer) || value.is(Kind::boolean);
  };
  if (symbol == "*" && repeats(a) && counts(b)) return repeated(context, a, b.integer());
  if (symbol == "*" && repeats(b) && counts(a)) return repeated(context, b, a.integer());
  no_operation(context, symbol, a, b);
}

Value negated(Context& context, const Value& value) {
  if (value.is(Kind::real)) return -value.real();
  if (value.is_number()) return integer_result(context, "-", 0, value.integer());
  context.fail("'-' before " + value.described() + " means nothing");
}

Value slice_of(Context& context, const Value& value, const Slice& slice) {
  refuse_lazy(context, value, "slice");
  if (!value.is(Kind::list) && !value.is(Kind::string)) {
    context.fail("a slice of " + value.described() + " means nothing");
  }
  const std::vector<Value> items = items_of(context, value);
  const auto size = static_cast<std::int64_t>(items.size());
  if (!slice.step.is(Kind::none) && !slice.step.is(Kind::integer)) {
    context.fail("a slice has " + slice.step.described() + " as its step", "a whole number");
  }
  const std::int64_t step =
      slice.step.is(Kind::none) ? 1 : std::clamp(slice.step.integer(), -size - 1, size + 1);
  if (step == 0) context.fail("a slice has the step 0");
  const bool forward = step > 0;
  const std::int64_t low = forward ? 0 : -1;
  const std::int64_t high = forward ? size : size - 1;
  const std::int64_t begin = bound(context, slice.begin, size, low, high, forward ? low : high);
  const std::int64_t end = bound(context, slice.end, size, low, high, forward ? high : low);
  std::vector<Value> out;
  for (std::int64_t i = begin; forward ? i < end : i > end; i += step) {
    out.push_back(items[static_cast<std::size_t>(i)]);
  }
  if (value.is(Kind::list)) return make_list(context, std::move(out), value.list().form);
  std::string text;
  for (const Value& character : out) text += character.string();
  return make_string(context, std::move(text));
}

std::string to_json(Context& context, const Value& value, const JsonStyle& style) {
  return JsonWriter(context, style).write(value);
}

}  // namespace switchyard::chat_template
