// Walks a template's tree and writes its text.
//
// Every step is paid for from a budget in proportion to what it touches, and recursion is bounded,
// so a hostile template ends with an Error instead of taking the machine.
//
// Thread rule: one rendering, one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/chat_template/operations.h"
#include "formats/chat_template/syntax.h"

namespace switchyard::chat_template {

class Interpreter : public Context {
 public:
  // `where` names the template in errors and must outlive the interpreter. `now`: what
  // strftime_now() says; the clock's time if absent.
  Interpreter(const std::string& where, std::optional<std::chrono::system_clock::time_point> now);

  void set_global(const std::string& name, Value value) { root_[name] = std::move(value); }
  std::string render(const Body& body);

  void charge(std::size_t bytes) override;

  std::chrono::system_clock::time_point now() const;
  // A namespace that lives as long as the rendering.
  Namespace& new_namespace();
  // Calls whatever a template calls; throws Error for what is no function.
  Value call(const Value& callee, const Arguments& arguments);

 protected:
  std::string place() const override { return where_ + ": line " + std::to_string(line_); }

 private:
  using Scope = std::map<std::string, Value, std::less<>>;
  enum class Flow { normal, leave_loop, next_round };

  // Counts one level of recursion while it lives.
  class Level {
   public:
    explicit Level(Interpreter& interpreter);
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    ~Level() { --interpreter_.level_; }

   private:
    Interpreter& interpreter_;
  };

  Flow run(const Body& body);
  Flow run(const Statement& statement);
  Flow run_if(const Statement& statement);
  Flow run_for(const Statement& statement);
  Flow run_set_block(const Statement& statement);
  void run_set_space(const Statement& statement);
  void run_macro(const Statement& statement);
  Flow run_scope(const Statement& statement);
  Flow run_filter_block(const Statement& statement);
  Value call_macro(const Statement& macro, const std::vector<Scope>& around,
                   const Arguments& arguments);

  Value evaluate(const Expression& expression);
  Value evaluate_call(const Expression& expression);
  Value evaluate_filter(const Expression& expression);
  Value evaluate_compare(const Expression& expression);
  Value evaluate_dict(const Expression& expression);
  Value evaluate_slice(const Expression& expression);
  Value evaluate_optional(const ExpressionPtr& expression);
  std::vector<Value> evaluate_all(const std::vector<ExpressionPtr>& items, std::size_t from);
  Arguments arguments_of(const std::vector<ExpressionPtr>& positional, std::size_t from,
                         const std::vector<std::pair<std::string, ExpressionPtr>>& named);
  Value filtered(Value value, const std::vector<FilterCall>& filters);

  Value lookup(const std::string& name) const;
  void assign(const std::string& name, Value value);
  void assign_all(const std::vector<std::string>& names, const Value& value);
  void write(std::string_view text);
  // What `body` writes, as a text.
  std::string captured(const Body& body, Flow& flow);

  const std::string& where_;
  std::optional<std::chrono::system_clock::time_point> now_;
  Scope root_;                 // the template's own names and those given to it
  std::vector<Scope> scopes_;  // of the macro that runs, or of the template: innermost last
  std::vector<std::unique_ptr<Namespace>> namespaces_;
  std::string out_;
  std::size_t left_;  // of the budget
  int level_ = 0;
  int line_ = 1;
};

}  // namespace switchyard::chat_template
