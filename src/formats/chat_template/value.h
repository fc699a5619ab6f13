// The values a template works with: Python's, as far as templates see them, and one for
// "undefined".
//
// Lists and dicts never change once made, so values can be shared and form no cycles. What holds
// others knows how deeply it nests, and nesting is bounded: a walk over a value is a bounded
// recursion.
//
// Thread rule: const; but namespaces belong to one rendering.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace switchyard::chat_template {

class Value;
class Interpreter;

struct List;
struct Dict;
struct Namespace;
struct Loop;
struct Callable;

struct Undefined {
  std::shared_ptr<const std::string> name;  // what was looked for, for errors
};

class Value {
 public:
  enum class Kind : std::uint8_t {
    undefined,
    none,
    boolean,
    integer,
    real,
    string,
    list,
    dict,
    space,  // a namespace()
    loop,
    callable,
  };

  Value() : data_(Undefined{}) {}
  static Value undefined(std::string name);
  static Value none() { return Value(Data(std::monostate())); }
  Value(bool value) : data_(value) {}
  Value(std::int64_t value) : data_(value) {}
  Value(int value) : data_(std::int64_t{value}) {}
  Value(double value) : data_(value) {}
  Value(std::string text) : data_(std::make_shared<const std::string>(std::move(text))) {}
  Value(std::string_view text) : Value(std::string(text)) {}
  Value(const char* text) : Value(std::string(text)) {}
  Value(std::shared_ptr<const List> list) : data_(std::move(list)) {}
  Value(std::shared_ptr<const Dict> dict) : data_(std::move(dict)) {}
  Value(Namespace* space) : data_(space) {}
  Value(std::shared_ptr<const Loop> loop) : data_(std::move(loop)) {}
  Value(std::shared_ptr<const Callable> callable) : data_(std::move(callable)) {}

  Kind kind() const;
  bool is(Kind kind) const { return this->kind() == kind; }
  bool is_number() const { return is(Kind::integer) || is(Kind::real) || is(Kind::boolean); }

  // REQUIRES: the value is of that kind.
  bool boolean() const { return std::get<bool>(data_); }
  std::int64_t integer() const;  // of an integer or a boolean
  double real() const;           // of any number
  const std::string& string() const { return *std::get<std::shared_ptr<const std::string>>(data_); }
  const List& list() const { return *std::get<std::shared_ptr<const List>>(data_); }
  const Dict& dict() const { return *std::get<std::shared_ptr<const Dict>>(data_); }
  Namespace& space() const { return *std::get<Namespace*>(data_); }
  const Loop& loop() const { return *std::get<std::shared_ptr<const Loop>>(data_); }
  const Callable& callable() const { return *std::get<std::shared_ptr<const Callable>>(data_); }
  std::string undefined_name() const;

  bool truth() const;
  int depth() const;  // 0 for what holds no other values
  // "a string", "None": for errors.
  std::string described() const;

 private:
  using Data = std::variant<Undefined, std::monostate, bool, std::int64_t, double,
                            std::shared_ptr<const std::string>, std::shared_ptr<const List>,
                            std::shared_ptr<const Dict>, Namespace*, std::shared_ptr<const Loop>,
                            std::shared_ptr<const Callable>>;
  explicit Value(Data data) : data_(std::move(data)) {}
  Data data_;
};

// Python's list or tuple, or what a lazy filter such as select gives: that is true even if empty
// and is there to go through, not to be counted or written.
struct List {
  enum class Form : std::uint8_t { list, tuple, lazy };
  std::vector<Value> items;
  Form form = Form::list;
  int depth = 1;
};

// In the order the keys were put in. Keys are strings.
struct Dict {
  std::vector<std::pair<std::string, Value>> items;
  std::unordered_map<std::string_view, std::size_t> places;
  int depth = 1;

  const Value* find(std::string_view key) const;
};

// The one thing that changes: {% set space.name = ... %}.
struct Namespace {
  std::vector<std::pair<std::string, Value>> items;

  const Value* find(std::string_view name) const;
  void set(std::string_view name, Value value);
};

// What `loop` is inside a {% for %}.
struct Loop {
  std::shared_ptr<const List> items;
  std::size_t index = 0;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

struct Callable {
  std::string name;
  std::function<Value(Interpreter&, const Arguments&)> call;
};

}  // namespace switchyard::chat_template
