// The tests behind "is".
#include <algorithm>
#include <array>

#include "formats/chat_template/builtins.h"
#include "formats/chat_template/text_functions.h"
#include "formats/json.h"

namespace switchyard::chat_template {
namespace {

using Kind = Value::Kind;

struct Test {
  std::string_view name;
  bool (*holds)(Interpreter& in, const Value& subject, ArgumentReader& arguments);
};

template <Kind kind>
bool of_kind(Interpreter&, const Value& subject, ArgumentReader&) {
  return subject.is(kind);
}

bool defined(Interpreter&, const Value& subject, ArgumentReader&) {
  return !subject.is(Kind::undefined);
}
bool number(Interpreter&, const Value& subject, ArgumentReader&) { return subject.is_number(); }
bool is_true(Interpreter&, const Value& subject, ArgumentReader&) {
  return subject.is(Kind::boolean) && subject.boolean();
}
bool is_false(Interpreter&, const Value& subject, ArgumentReader&) {
  return subject.is(Kind::boolean) && !subject.boolean();
}

// Strings, lists and dicts; Python goes through an undefined value too, as through an empty list.
bool iterable(Interpreter&, const Value& subject, ArgumentReader&) {
  return subject.is(Kind::string) || subject.is(Kind::list) || subject.is(Kind::dict) ||
         subject.is(Kind::undefined);
}

std::int64_t whole(Interpreter& in, const Value& value) {
  if (!value.is(Kind::integer) && !value.is(Kind::boolean)) {
    in.fail("a test of whole numbers gets " + value.described(), "a whole number");
  }
  return value.integer();
}

bool odd(Interpreter& in, const Value& subject, ArgumentReader&) {
  return equal(in, arithmetic(in, "%", subject, 2), 1);
}
bool even(Interpreter& in, const Value& subject, ArgumentReader&) {
  return equal(in, arithmetic(in, "%", subject, 2), 0);
}
bool divisible(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  const std::int64_t divisor = whole(in, arguments.required("num"));
  if (divisor == 0) in.fail("a number is divided by zero");
  return divisor == -1 || whole(in, subject) % divisor == 0;
}

bool eq(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  return equal(in, subject, arguments.required("other"));
}
bool ne(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  return !equal(in, subject, arguments.required("other"));
}
bool lt(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  return less(in, subject, arguments.required("other"));
}
bool gt(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  return less(in, arguments.required("other"), subject);
}
bool le(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  const Value& other = arguments.required("other");
  return less(in, subject, other) || equal(in, subject, other);
}
bool ge(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  const Value& other = arguments.required("other");
  return less(in, other, subject) || equal(in, subject, other);
}
bool in_container(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  return contains(in, arguments.required("seq"), subject);
}

bool same_as(Interpreter& in, const Value& subject, ArgumentReader& arguments) {
  const Value& other = arguments.required("other");
  return subject.kind() == other.kind() && equal(in, subject, other);
}

template <std::string (*change)(std::string_view)>
bool unchanged(Interpreter& in, const Value& subject, ArgumentReader&) {
  return is_all(to_text(in, subject), change);
}

bool filter(Interpreter&, const Value& subject, ArgumentReader&) {
  return subject.is(Kind::string) && is_filter(subject.string());
}
bool test(Interpreter&, const Value& subject, ArgumentReader&) {
  return subject.is(Kind::string) && is_test(subject.string());
}

constexpr std::array<Test, 38> kTests{{
    {"defined", defined},
    {"undefined", of_kind<Kind::undefined>},
    {"none", of_kind<Kind::none>},
    {"boolean", of_kind<Kind::boolean>},
    {"true", is_true},
    {"false", is_false},
    {"string", of_kind<Kind::string>},
    {"number", number},
    {"integer", of_kind<Kind::integer>},
    {"float", of_kind<Kind::real>},
    {"mapping", of_kind<Kind::dict>},
    {"sequence", iterable},
    {"iterable", iterable},
    {"callable", of_kind<Kind::callable>},
    {"odd", odd},
    {"even", even},
    {"divisibleby", divisible},
    {"eq", eq},
    {"equalto", eq},
    {"==", eq},
    {"ne", ne},
    {"!=", ne},
    {"lt", lt},
    {"lessthan", lt},
    {"<", lt},
    {"le", le},
    {"<=", le},
    {"gt", gt},
    {"greaterthan", gt},
    {">", gt},
    {"ge", ge},
    {">=", ge},
    {"in", in_container},
    {"sameas", same_as},
    {"lower", unchanged<lower_case>},
    {"upper", unchanged<upper_case>},
    {"filter", filter},
    {"test", test},
}};

}  // namespace

bool is_test(std::string_view name) {
  return std::any_of(kTests.begin(), kTests.end(),
                     [&](const Test& known) { return known.name == name; });
}

bool apply_test(Interpreter& in, std::string_view name, const Value& subject,
                const Arguments& arguments) {
  in.charge(kValueCost);
  for (const Test& known : kTests) {
    if (known.name != name) continue;
    ArgumentReader reader(in, "the test " + shown(name), arguments);
    const bool out = known.holds(in, subject, reader);
    reader.done();
    return out;
  }
  std::string names;
  for (const Test& known : kTests) names += (names.empty() ? "" : ", ") + std::string(known.name);
  in.fail("there is no test " + shown(name), "one of " + names);
}

}  // namespace switchyard::chat_template
