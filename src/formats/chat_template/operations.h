// What Python's operators and conversions do with values.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/chat_template/value.h"

namespace switchyard::chat_template {

// What every operation may do besides its result: spend work, and fail.
class Context {
 public:
  virtual ~Context() = default;
  // Throws the template's Error at the line that is being rendered.
  [[noreturn]] void fail(const std::string& what, const std::string& expected = {}) const;
  // `bytes` of text or of values are about to be touched; throws Error when a rendering has done
  // more than any honest template does.
  virtual void charge(std::size_t bytes) = 0;

 protected:
  virtual std::string place() const = 0;  // the template and the line
};

// What one value costs to touch, in bytes.
inline constexpr std::size_t kValueCost = 32;

// Containers know their depth and refuse to nest too deeply.
Value make_list(Context& context, std::vector<Value> items, List::Form form = List::Form::list);
// A key that stands twice keeps its place and the later value.
Value make_dict(Context& context, std::vector<std::pair<std::string, Value>> items);
Value make_string(Context& context, std::string text);

std::string to_text(Context& context, const Value& value);  // str(): what {{ }} writes
std::string to_repr(Context& context, const Value& value);  // repr()

bool equal(Context& context, const Value& a, const Value& b);
// Throws Error for values that have no order.
bool less(Context& context, const Value& a, const Value& b);
bool contains(Context& context, const Value& container, const Value& item);

// The items a loop goes through: of a list, the characters of a string, the keys of a dict, nothing
// of what is undefined.
std::vector<Value> items_of(Context& context, const Value& value);
std::int64_t length_of(Context& context, const Value& value);

// `symbol`: + - * / // % **
Value arithmetic(Context& context, std::string_view symbol, const Value& a, const Value& b);
Value negated(Context& context, const Value& value);

struct Slice {
  Value begin = Value::none();
  Value end = Value::none();
  Value step = Value::none();
};
Value slice_of(Context& context, const Value& value, const Slice& slice);

// value[key]: an item of a list, string or dict; undefined if there is none.
Value item_of(Context& context, const Value& value, const Value& key);
// value.name: a method (of a dict before its keys), else the item.
Value attribute_of(Context& context, const Value& value, const std::string& name);

// As Python's json.dumps writes it.
struct JsonStyle {
  bool ascii = false;
  bool sort_keys = false;
  std::string indent = {};  // of one level; with `lines`
  bool lines = false;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
std::string to_json(Context& context, const Value& value, const JsonStyle& style);

}  // namespace switchyard::chat_template
