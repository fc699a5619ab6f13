// Tokens to a tree.
#pragma once

#include <string>
#include <vector>

#include "formats/chat_template/lexer.h"
#include "formats/chat_template/syntax.h"

namespace switchyard::chat_template {

// Throws Error naming `where` and the line for what is not well formed and for statements that
// chat templates have no use for (include, extends, call ...).
Body parse(const std::vector<Token>& tokens, const std::string& where);

// What a token is, for errors.
std::string describe(const Token& token);

// A walk over the tokens, with the questions both halves of the parser ask.
class TokenCursor {
 public:
  TokenCursor(const std::vector<Token>& tokens, const std::string& where)
      : tokens_(tokens), where_(where) {}

  const Token& peek(std::size_t offset = 0) const;
  Token take();
  bool is(Token::Kind kind) const { return peek().kind == kind; }
  bool is_symbol(std::string_view symbol, std::size_t offset = 0) const;
  bool is_name(std::string_view name, std::size_t offset = 0) const;
  bool take_symbol(std::string_view symbol);  // true if it was there
  bool take_name(std::string_view name);
  void expect_symbol(std::string_view symbol);
  void expect_name(std::string_view name);
  std::string expect_any_name(const std::string& what);
  int line() const { return peek().line; }
  [[noreturn]] void fail(const std::string& what, const std::string& expected = {}) const;
  // For errors: what stands there.
  std::string here() const { return describe(peek()); }
  const std::string& where() const { return where_; }

 private:
  const std::vector<Token>& tokens_;
  const std::string& where_;
  std::size_t at_ = 0;
};

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenCursor& tokens) : tokens_(tokens) {}

  // An expression; with `tuples` "a, b" is one too.
  ExpressionPtr parse(bool tuples = false);
  // The same without a trailing "if ...", which means something else behind "in".
  ExpressionPtr parse_without_condition();
  // name | name(arguments): what follows "filter" or "set x |".
  FilterCall parse_filter();

 private:
  ExpressionPtr conditional();
  ExpressionPtr logical_or();
  ExpressionPtr logical_and();
  ExpressionPtr logical_not();
  ExpressionPtr compare();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr unary(bool with_filters);
  ExpressionPtr primary();
  ExpressionPtr postfix(ExpressionPtr expression);
  ExpressionPtr filters_and_tests(ExpressionPtr expression);
  ExpressionPtr test(ExpressionPtr subject);
  ExpressionPtr subscript(ExpressionPtr expression);
  ExpressionPtr number(const Token& token);
  ExpressionPtr parenthesised();
  ExpressionPtr list();
  ExpressionPtr dict();
  void call_arguments(std::vector<ExpressionPtr>& positional,
                      std::vector<std::pair<std::string, ExpressionPtr>>& named);
  ExpressionPtr make(Expression::Kind kind, int line) const;
  // Adds a part and bounds the depth.
  void add(Expression& to, ExpressionPtr part) const;
  void deepen(Expression& to, const Expression& part) const;

  TokenCursor& tokens_;
  int nesting_ = 0;
};

}  // namespace switchyard::chat_template
