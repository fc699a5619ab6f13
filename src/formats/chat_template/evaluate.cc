// The expressions.
#include <utility>

#include "formats/chat_template/builtins.h"
#include "formats/chat_template/interpreter.h"
#include "formats/json.h"

namespace switchyard::chat_template {

using Kind = Expression::Kind;

std::vector<Value> Interpreter::evaluate_all(const std::vector<ExpressionPtr>& items,
                                             std::size_t from) {
  std::vector<Value> out;
  for (std::size_t i = from; i < items.size(); ++i) out.push_back(evaluate(*items[i]));
  return out;
}

Arguments Interpreter::arguments_of(
    const std::vector<ExpressionPtr>& positional, std::size_t from,
    const std::vector<std::pair<std::string, ExpressionPtr>>& named) {
  Arguments out;
  out.positional = evaluate_all(positional, from);
  for (const auto& [name, expression] : named) out.named.emplace_back(name, evaluate(*expression));
  return out;
}

Value Interpreter::evaluate(const Expression& expression) {
  const Level level(*this);
  charge(kValueCost);
  line_ = expression.line;
  const auto part = [&](std::size_t i) { return evaluate(*expression.items[i]); };
  switch (expression.kind) {
    case Kind::constant:
      return expression.value;
    case Kind::name:
      return lookup(expression.text);
    case Kind::list:
    case Kind::tuple:
      return make_list(*this, evaluate_all(expression.items, 0),
                       expression.kind == Kind::tuple ? List::Form::tuple : List::Form::list);
    case Kind::dict:
      return evaluate_dict(expression);
    case Kind::attribute:
      return attribute_of(*this, part(0), expression.text);
    case Kind::item: {
      const Value container = part(0);
      return item_of(*this, container, part(1));
    }
    case Kind::slice:
      return evaluate_slice(expression);
    case Kind::call:
      return evaluate_call(expression);
    case Kind::filter:
      return evaluate_filter(expression);
    case Kind::test: {
      const Value subject = part(0);
      const bool result = apply_test(*this, expression.text, subject,
                                     arguments_of(expression.items, 1, expression.named));
      return result != expression.negated;
    }
    case Kind::logical_not:
      return !part(0).truth();
    case Kind::minus:
      return negated(*this, part(0));
    case Kind::plus:
      return arithmetic(*this, "+", 0, part(0));
    case Kind::logical_and: {
      Value left = part(0);
      return left.truth() ? part(1) : left;
    }
    case Kind::logical_or: {
      Value left = part(0);
      return left.truth() ? left : part(1);
    }
    case Kind::arithmetic: {
      const Value left = part(0);
      const Value right = part(1);
      line_ = expression.line;
      return arithmetic(*this, expression.text, left, right);
    }
    case Kind::concatenate: {
      std::string text;
      for (const Value& value : evaluate_all(expression.items, 0)) text += to_text(*this, value);
      return make_string(*this, std::move(text));
    }
    case Kind::compare:
      return evaluate_compare(expression);
    case Kind::conditional:
      if (part(1).truth()) return part(0);
      return expression.items[2] ? part(2) : Value::undefined("a condition without else");
  }
  return {};
}

Value Interpreter::evaluate_dict(const Expression& expression) {
  std::vector<std::pair<std::string, Value>> items;
  for (std::size_t i = 0; i + 1 < expression.items.size(); i += 2) {
    const Value key = evaluate(*expression.items[i]);
    if (!key.is(Value::Kind::string)) {
      fail("a dict has " + key.described() + " as a key", "strings");
    }
    items.emplace_back(key.string(), evaluate(*expression.items[i + 1]));
  }
  return make_dict(*this, std::move(items));
}

Value Interpreter::evaluate_optional(const ExpressionPtr& expression) {
  return expression ? evaluate(*expression) : Value::none();
}

Value Interpreter::evaluate_slice(const Expression& expression) {
  const Value container = evaluate(*expression.items[0]);
  Slice slice;
  slice.begin = evaluate_optional(expression.items[1]);
  slice.end = evaluate_optional(expression.items[2]);
  slice.step = evaluate_optional(expression.items[3]);
  return slice_of(*this, container, slice);
}

Value Interpreter::evaluate_call(const Expression& expression) {
  const Value callee = evaluate(*expression.items[0]);
  const Arguments arguments = arguments_of(expression.items, 1, expression.named);
  line_ = expression.line;
  return call(callee, arguments);
}

Value Interpreter::call(const Value& callee, const Arguments& arguments) {
  const Level level(*this);
  if (callee.is(Value::Kind::undefined)) {
    fail(shown(callee.undefined_name()) + " is undefined and is called");
  }
  if (!callee.is(Value::Kind::callable)) fail(callee.described() + " is called");
  // A copy: what is called may set the name that holds it.
  const Value held = callee;
  return held.callable().call(*this, arguments);
}

Value Interpreter::evaluate_filter(const Expression& expression) {
  const Value subject = evaluate(*expression.items[0]);
  const Arguments arguments = arguments_of(expression.items, 1, expression.named);
  line_ = expression.line;
  return apply_filter(*this, expression.text, subject, arguments);
}

Value Interpreter::evaluate_compare(const Expression& expression) {
  Value left = evaluate(*expression.items[0]);
  for (std::size_t i = 0; i < expression.symbols.size(); ++i) {
    Value right = evaluate(*expression.items[i + 1]);
    const std::string& symbol = expression.symbols[i];
    bool holds = false;
    if (symbol == "==") holds = equal(*this, left, right);
    if (symbol == "!=") holds = !equal(*this, left, right);
    if (symbol == "<") holds = less(*this, left, right);
    if (symbol == ">") holds = less(*this, right, left);
    if (symbol == "<=") holds = less(*this, left, right) || equal(*this, left, right);
    if (symbol == ">=") holds = less(*this, right, left) || equal(*this, left, right);
    if (symbol == "in") holds = contains(*this, right, left);
    if (symbol == "not in") holds = !contains(*this, right, left);
    if (!holds) return false;
    left = std::move(right);
  }
  return true;
}

}  // namespace switchyard::chat_template
