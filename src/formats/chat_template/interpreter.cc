// The statements.
#include "formats/chat_template/interpreter.h"

#include <utility>

#include "formats/chat_template/builtins.h"
#include "formats/json.h"

namespace switchyard::chat_template {
namespace {

using Kind = Statement::Kind;

// Bytes touched in one rendering. A conversation of a million characters takes some ten millions.
constexpr std::size_t kBudget = std::size_t{256} << 20;
constexpr std::size_t kMaxOutputBytes = std::size_t{64} << 20;
// Evaluations inside evaluations; macros that call themselves end here.
constexpr int kMaxLevel = 400;

}  // namespace

Interpreter::Interpreter(const std::string& where,
                         std::optional<std::chrono::system_clock::time_point> now)
    : where_(where), now_(now), left_(kBudget) {
  for (auto& [name, value] : global_functions()) root_[name] = std::move(value);
}

Interpreter::Level::Level(Interpreter& interpreter) : interpreter_(interpreter) {
  if (++interpreter_.level_ > kMaxLevel) {
    --interpreter_.level_;
    interpreter_.fail("the template recurses too deeply");
  }
}

std::string Interpreter::render(const Body& body) {
  run(body);
  return std::move(out_);
}

void Interpreter::charge(std::size_t bytes) {
  if (bytes > left_) fail("the template does too much work", "the loops of a chat template");
  left_ -= bytes;
}

std::chrono::system_clock::time_point Interpreter::now() const {
  return now_ ? *now_ : std::chrono::system_clock::now();
}

Namespace& Interpreter::new_namespace() {
  charge(kValueCost * 4);
  return *namespaces_.emplace_back(std::make_unique<Namespace>());
}

void Interpreter::write(std::string_view text) {
  charge(text.size());
  if (text.size() > kMaxOutputBytes - out_.size()) {
    fail("the output grows beyond " + std::to_string(kMaxOutputBytes) + " bytes");
  }
  out_ += text;
}

std::string Interpreter::captured(const Body& body, Flow& flow) {
  std::string outer = std::exchange(out_, {});
  flow = run(body);
  return std::exchange(out_, std::move(outer));
}

Value Interpreter::lookup(const std::string& name) const {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    if (const auto found = scope->find(name); found != scope->end()) return found->second;
  }
  const auto found = root_.find(name);
  return found == root_.end() ? Value::undefined(name) : found->second;
}

void Interpreter::assign(const std::string& name, Value value) {
  (scopes_.empty() ? root_ : scopes_.back())[name] = std::move(value);
}

void Interpreter::assign_all(const std::vector<std::string>& names, const Value& value) {
  if (names.size() == 1) return assign(names.front(), value);
  const std::vector<Value> items = items_of(*this, value);
  if (items.size() != names.size()) {
    fail(std::to_string(items.size()) + " values stand for " + std::to_string(names.size()) +
         " names");
  }
  for (std::size_t i = 0; i < names.size(); ++i) assign(names[i], items[i]);
}

Interpreter::Flow Interpreter::run(const Body& body) {
  const Level level(*this);
  for (const Statement& statement : body) {
    const Flow flow = run(statement);
    if (flow != Flow::normal) return flow;
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::run(const Statement& statement) {
  line_ = statement.line;
  charge(kValueCost);
  switch (statement.kind) {
    case Kind::text:
      write(statement.text);
      break;
    case Kind::output:
      write(to_text(*this, evaluate(*statement.expression)));
      break;
    case Kind::conditional:
      return run_if(statement);
    case Kind::loop:
      return run_for(statement);
    case Kind::set:
      assign_all(statement.targets, evaluate(*statement.expression));
      break;
    case Kind::set_block:
      return run_set_block(statement);
    case Kind::set_space:
      run_set_space(statement);
      break;
    case Kind::macro:
      run_macro(statement);
      break;
    case Kind::filter_block:
      return run_filter_block(statement);
    case Kind::scope:
      return run_scope(statement);
    case Kind::loop_break:
      return Flow::leave_loop;
    case Kind::loop_continue:
      return Flow::next_round;
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::run_if(const Statement& statement) {
  for (const Branch& branch : statement.branches) {
    if (branch.condition && !evaluate(*branch.condition).truth()) continue;
    return run(branch.body);
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::run_for(const Statement& statement) {
  std::vector<Value> items = items_of(*this, evaluate(*statement.expression));
  if (statement.condition) {
    std::vector<Value> kept;
    scopes_.emplace_back();
    for (Value& item : items) {
      assign_all(statement.targets, item);
      if (evaluate(*statement.condition).truth()) kept.push_back(std::move(item));
    }
    scopes_.pop_back();
    items = std::move(kept);
  }
  bool completed = false;
  const auto loop = std::make_shared<Loop>();
  loop->items = std::make_shared<const List>(List{std::move(items), List::Form::list, 1});
  for (; loop->index < loop->items->items.size(); ++loop->index) {
    charge(kValueCost * 4);
    scopes_.emplace_back();
    assign("loop", Value(std::shared_ptr<const Loop>(loop)));
    assign_all(statement.targets, loop->items->items[loop->index]);
    const Flow flow = run(statement.branches[0].body);
    scopes_.pop_back();
    if (flow == Flow::leave_loop) break;
    completed |= flow == Flow::normal;
  }
  // As in Jinja: "else" is for loops none of whose rounds came to its end.
  if (!completed && statement.branches.size() > 1) return run(statement.branches[1].body);
  return Flow::normal;
}

Interpreter::Flow Interpreter::run_set_block(const Statement& statement) {
  Flow flow = Flow::normal;
  scopes_.emplace_back();
  std::string text = captured(statement.branches[0].body, flow);
  scopes_.pop_back();
  if (flow != Flow::normal) return flow;
  assign(statement.targets[0], filtered(make_string(*this, std::move(text)), statement.filters));
  return flow;
}

void Interpreter::run_set_space(const Statement& statement) {
  const Value space = lookup(statement.targets[0]);
  if (!space.is(Value::Kind::space)) {
    fail("the attribute " + shown(statement.text) + " of " + space.described() + " is set",
         "a namespace() before the '.'");
  }
  space.space().set(statement.text, evaluate(*statement.expression));
}

void Interpreter::run_macro(const Statement& statement) {
  // A macro sees the names around it as they are here, and the template's as they will be.
  std::size_t names = 0;
  for (const Scope& scope : scopes_) names += scope.size();
  charge(names * kValueCost);
  const auto call = [macro = &statement, around = scopes_](Interpreter& interpreter,
                                                           const Arguments& arguments) {
    return interpreter.call_macro(*macro, around, arguments);
  };
  assign(statement.text, Value(std::make_shared<const Callable>(Callable{statement.text, call})));
}

Value Interpreter::call_macro(const Statement& macro, const std::vector<Scope>& around,
                              const Arguments& arguments) {
  if (arguments.positional.size() > macro.parameters.size()) {
    fail("the macro " + shown(macro.text) + " gets " + std::to_string(arguments.positional.size()) +
             " arguments",
         "at most " + std::to_string(macro.parameters.size()));
  }
  std::vector<Scope> outer = std::exchange(scopes_, around);
  const int line = line_;
  scopes_.emplace_back();
  for (std::size_t i = 0; i < macro.parameters.size(); ++i) {
    const Parameter& parameter = macro.parameters[i];
    Value value = Value::undefined(parameter.name);
    if (i < arguments.positional.size()) {
      value = arguments.positional[i];
    } else if (parameter.fallback) {
      value = evaluate(*parameter.fallback);
    }
    assign(parameter.name, std::move(value));
  }
  for (const auto& [name, value] : arguments.named) {
    if (!scopes_.back().contains(name)) {
      fail("the macro " + shown(macro.text) + " has no parameter " + shown(name));
    }
    assign(name, value);
  }
  Flow flow = Flow::normal;
  std::string text = captured(macro.branches[0].body, flow);
  scopes_ = std::move(outer);
  line_ = line;
  return make_string(*this, std::move(text));
}

Interpreter::Flow Interpreter::run_scope(const Statement& statement) {
  scopes_.emplace_back();
  const Flow flow = run(statement.branches[0].body);
  scopes_.pop_back();
  return flow;
}

Interpreter::Flow Interpreter::run_filter_block(const Statement& statement) {
  Flow flow = Flow::normal;
  scopes_.emplace_back();
  std::string text = captured(statement.branches[0].body, flow);
  scopes_.pop_back();
  if (flow != Flow::normal) return flow;
  write(to_text(*this, filtered(make_string(*this, std::move(text)), statement.filters)));
  return flow;
}

Value Interpreter::filtered(Value value, const std::vector<FilterCall>& filters) {
  for (const FilterCall& filter : filters) {
    value =
        apply_filter(*this, filter.name, value, arguments_of(filter.arguments, 0, filter.named));
  }
  return value;
}

}  // namespace switchyard::chat_template
