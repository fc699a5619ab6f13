// What templates can use by name: filters, tests, methods, functions. Each kind is one table.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/chat_template/interpreter.h"

namespace switchyard::chat_template {

// Throws the template's Error for an unknown name; the message lists those that are known.
Value apply_filter(Interpreter& in, std::string_view name, const Value& subject,
                   const Arguments& arguments);
bool is_filter(std::string_view name);
bool apply_test(Interpreter& in, std::string_view name, const Value& subject,
                const Arguments& arguments);
bool is_test(std::string_view name);

// range, namespace, dict, raise_exception, strftime_now.
std::vector<std::pair<std::string, Value>> global_functions();

// A method of a string or dict, bound to it; undefined if there is none of this name.
Value method_of(const Value& value, const std::string& name);

// A list of (key, value).
Value items_of_dict(Interpreter& in, const Value& dict);
// Python's str.replace.
Value replaced(Interpreter& in, const std::string& text, const std::string& old,
               const std::string& replacement, std::optional<std::int64_t> most);

// Arguments by place or name, as Python takes them. Whoever has read them all calls done().
class ArgumentReader {
 public:
  // `what` is called so in errors: "the filter 'join'".
  ArgumentReader(Interpreter& in, std::string what, const Arguments& arguments)
      : in_(in), what_(std::move(what)), arguments_(arguments) {}

  // The next argument; nullptr if it is not given.
  const Value* optional(std::string_view name);
  const Value& required(std::string_view name);
  std::string text(std::string_view name);
  std::string text(std::string_view name, std::string_view fallback);
  std::int64_t integer(std::string_view name, std::int64_t fallback);
  bool truth(std::string_view name, bool fallback);
  // Throws Error for arguments nobody asked for.
  void done();

 private:
  Interpreter& in_;
  std::string what_;
  const Arguments& arguments_;
  std::size_t next_ = 0;  // positional
  std::size_t named_used_ = 0;
};

}  // namespace switchyard::chat_template
