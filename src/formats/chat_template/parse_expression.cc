// Jinja's expressions, in the order of their binding.
#include <algorithm>
#include <charconv>
#include <utility>

#include "formats/chat_template/parser.h"
#include "formats/json.h"

namespace switchyard::chat_template {
namespace {

using Kind = Expression::Kind;

// Brackets inside brackets, and how deep the tree of an expression may get.
constexpr int kMaxNesting = 64;
constexpr int kMaxDepth = 200;

}  // namespace

ExpressionPtr ExpressionParser::make(Kind kind, int line) const {
  auto out = std::make_unique<Expression>();
  out->kind = kind;
  out->line = line;
  return out;
}

void ExpressionParser::deepen(Expression& to, const Expression& part) const {
  to.depth = std::max(to.depth, part.depth + 1);
  if (to.depth > kMaxDepth) tokens_.fail("an expression is too long", "fewer operators in a row");
}

void ExpressionParser::add(Expression& to, ExpressionPtr part) const {
  if (part) deepen(to, *part);
  to.items.push_back(std::move(part));
}

ExpressionPtr ExpressionParser::parse(bool tuples) {
  if (++nesting_ > kMaxNesting) tokens_.fail("brackets are nested too deeply");
  ExpressionPtr first = conditional();
  if (tuples && tokens_.is_symbol(",")) {
    ExpressionPtr out = make(Kind::tuple, first->line);
    add(*out, std::move(first));
    while (tokens_.take_symbol(",") && !tokens_.is(Token::Kind::block_end) &&
           !tokens_.is(Token::Kind::output_end)) {
      add(*out, conditional());
    }
    first = std::move(out);
  }
  --nesting_;
  return first;
}

ExpressionPtr ExpressionParser::parse_without_condition() { return logical_or(); }

ExpressionPtr ExpressionParser::conditional() {
  ExpressionPtr value = logical_or();
  while (tokens_.is_name("if")) {
    ExpressionPtr out = make(Kind::conditional, tokens_.take().line);
    add(*out, std::move(value));
    add(*out, logical_or());
    if (tokens_.take_name("else")) {
      if (++nesting_ > kMaxNesting) tokens_.fail("conditions are nested too deeply");
      add(*out, conditional());
      --nesting_;
    } else {
      out->items.push_back(nullptr);
    }
    value = std::move(out);
  }
  return value;
}

ExpressionPtr ExpressionParser::logical_or() {
  ExpressionPtr left = logical_and();
  while (tokens_.is_name("or")) {
    ExpressionPtr out = make(Kind::logical_or, tokens_.take().line);
    add(*out, std::move(left));
    add(*out, logical_and());
    left = std::move(out);
  }
  return left;
}

ExpressionPtr ExpressionParser::logical_and() {
  ExpressionPtr left = logical_not();
  while (tokens_.is_name("and")) {
    ExpressionPtr out = make(Kind::logical_and, tokens_.take().line);
    add(*out, std::move(left));
    add(*out, logical_not());
    left = std::move(out);
  }
  return left;
}

ExpressionPtr ExpressionParser::logical_not() {
  if (!tokens_.is_name("not")) return compare();
  ExpressionPtr out = make(Kind::logical_not, tokens_.take().line);
  if (++nesting_ > kMaxNesting) tokens_.fail("'not' stands too often in a row");
  add(*out, logical_not());
  --nesting_;
  return out;
}

ExpressionPtr ExpressionParser::compare() {
  ExpressionPtr first = sum();
  ExpressionPtr out;
  for (;;) {
    std::string symbol;
    const int line = tokens_.line();
    for (const char* known : {"==", "!=", "<=", ">=", "<", ">"}) {
      if (symbol.empty() && tokens_.take_symbol(known)) symbol = known;
    }
    if (symbol.empty() && tokens_.take_name("in")) symbol = "in";
    if (symbol.empty() && tokens_.is_name("not") && tokens_.is_name("in", 1)) {
      tokens_.take();
      tokens_.take();
      symbol = "not in";
    }
    if (symbol.empty()) return out ? std::move(out) : std::move(first);
    if (!out) {
      out = make(Kind::compare, line);
      add(*out, std::move(first));
    }
    out->symbols.push_back(symbol);
    add(*out, sum());
  }
}

ExpressionPtr ExpressionParser::sum() {
  ExpressionPtr left = concatenation();
  while (tokens_.is_symbol("+") || tokens_.is_symbol("-")) {
    const Token symbol = tokens_.take();
    ExpressionPtr out = make(Kind::arithmetic, symbol.line);
    out->text = symbol.text;
    add(*out, std::move(left));
    add(*out, concatenation());
    left = std::move(out);
  }
  return left;
}

ExpressionPtr ExpressionParser::concatenation() {
  ExpressionPtr first = product();
  if (!tokens_.is_symbol("~")) return first;
  ExpressionPtr out = make(Kind::concatenate, tokens_.line());
  add(*out, std::move(first));
  while (tokens_.take_symbol("~")) add(*out, product());
  return out;
}

ExpressionPtr ExpressionParser::product() {
  ExpressionPtr left = power();
  while (tokens_.is_symbol("*") || tokens_.is_symbol("/") || tokens_.is_symbol("//") ||
         tokens_.is_symbol("%")) {
    const Token symbol = tokens_.take();
    ExpressionPtr out = make(Kind::arithmetic, symbol.line);
    out->text = symbol.text;
    add(*out, std::move(left));
    add(*out, power());
    left = std::move(out);
  }
  return left;
}

ExpressionPtr ExpressionParser::power() {
  ExpressionPtr left = unary(true);
  while (tokens_.is_symbol("**")) {
    ExpressionPtr out = make(Kind::arithmetic, tokens_.take().line);
    out->text = "**";
    add(*out, std::move(left));
    add(*out, unary(true));
    left = std::move(out);
  }
  return left;
}

ExpressionPtr ExpressionParser::unary(bool with_filters) {
  ExpressionPtr out;
  if (tokens_.is_symbol("-") || tokens_.is_symbol("+")) {
    const Token sign = tokens_.take();
    out = make(sign.text == "-" ? Kind::minus : Kind::plus, sign.line);
    if (++nesting_ > kMaxNesting) tokens_.fail("signs stand too often in a row");
    add(*out, unary(false));
    --nesting_;
  } else {
    out = primary();
  }
  out = postfix(std::move(out));
  return with_filters ? filters_and_tests(std::move(out)) : std::move(out);
}

ExpressionPtr ExpressionParser::primary() {
  const Token token = tokens_.take();
  ExpressionPtr out = make(Kind::constant, token.line);
  switch (token.kind) {
    case Token::Kind::name:
      if (token.text == "true" || token.text == "True") {
        out->value = true;
      } else if (token.text == "false" || token.text == "False") {
        out->value = false;
      } else if (token.text == "none" || token.text == "None") {
        out->value = Value::none();
      } else {
        out->kind = Kind::name;
        out->text = token.text;
      }
      return out;
    case Token::Kind::string: {
      std::string text = token.text;
      while (tokens_.is(Token::Kind::string)) text += tokens_.take().text;
      out->value = Value(std::move(text));
      return out;
    }
    case Token::Kind::integer:
    case Token::Kind::real:
      return number(token);
    default:
      break;
  }
  if (token.kind == Token::Kind::symbol) {
    if (token.text == "(") return parenthesised();
    if (token.text == "[") return list();
    if (token.text == "{") return dict();
  }
  fail_at(tokens_.where(), token.line, "an expression begins with " + describe(token),
          "a name, a literal or a bracket");
}

ExpressionPtr ExpressionParser::number(const Token& token) {
  ExpressionPtr out = make(Kind::constant, token.line);
  const char* begin = token.text.data();
  const char* end = begin + token.text.size();
  if (token.kind == Token::Kind::integer) {
    std::int64_t value = 0;
    if (std::from_chars(begin, end, value).ec != std::errc()) {
      tokens_.fail("the number " + shown(token.text) + " is too large", "64 bits");
    }
    out->value = value;
  } else {
    double value = 0;
    if (std::from_chars(begin, end, value).ec != std::errc()) {
      tokens_.fail("the number " + shown(token.text) + " is too large or too small");
    }
    out->value = value;
  }
  return out;
}

ExpressionPtr ExpressionParser::parenthesised() {
  if (tokens_.take_symbol(")")) return make(Kind::tuple, tokens_.line());
  ExpressionPtr first = parse();
  if (tokens_.is_symbol(",")) {
    ExpressionPtr out = make(Kind::tuple, first->line);
    add(*out, std::move(first));
    while (tokens_.take_symbol(",") && !tokens_.is_symbol(")")) add(*out, parse());
    first = std::move(out);
  }
  tokens_.expect_symbol(")");
  return first;
}

ExpressionPtr ExpressionParser::list() {
  ExpressionPtr out = make(Kind::list, tokens_.line());
  while (!tokens_.is_symbol("]")) {
    add(*out, parse());
    if (!tokens_.take_symbol(",")) break;
  }
  tokens_.expect_symbol("]");
  return out;
}

ExpressionPtr ExpressionParser::dict() {
  ExpressionPtr out = make(Kind::dict, tokens_.line());
  while (!tokens_.is_symbol("}")) {
    add(*out, parse());
    tokens_.expect_symbol(":");
    add(*out, parse());
    if (!tokens_.take_symbol(",")) break;
  }
  tokens_.expect_symbol("}");
  return out;
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr expression) {
  for (;;) {
    const int line = tokens_.line();
    if (tokens_.take_symbol(".")) {
      if (tokens_.is(Token::Kind::integer)) {
        ExpressionPtr out = make(Kind::item, line);
        add(*out, std::move(expression));
        add(*out, number(tokens_.take()));
        expression = std::move(out);
        continue;
      }
      ExpressionPtr out = make(Kind::attribute, line);
      out->text = tokens_.expect_any_name("the name of an attribute");
      add(*out, std::move(expression));
      expression = std::move(out);
    } else if (tokens_.take_symbol("[")) {
      expression = subscript(std::move(expression));
    } else if (tokens_.is_symbol("(")) {
      ExpressionPtr out = make(Kind::call, line);
      add(*out, std::move(expression));
      call_arguments(out->items, out->named);
      for (const auto& item : out->items) deepen(*out, *item);
      for (const auto& item : out->named) deepen(*out, *item.second);
      expression = std::move(out);
    } else {
      return expression;
    }
  }
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr expression) {
  const int line = tokens_.line();
  const auto bound = [&]() -> ExpressionPtr {
    return tokens_.is_symbol(":") || tokens_.is_symbol("]") ? nullptr : parse();
  };
  ExpressionPtr first = bound();
  ExpressionPtr out;
  if (tokens_.take_symbol(":")) {
    out = make(Kind::slice, line);
    add(*out, std::move(expression));
    add(*out, std::move(first));
    add(*out, bound());
    add(*out, tokens_.take_symbol(":") ? bound() : nullptr);
  } else {
    if (!first) tokens_.fail("a subscript is empty");
    out = make(Kind::item, line);
    add(*out, std::move(expression));
    add(*out, std::move(first));
  }
  tokens_.expect_symbol("]");
  return out;
}

void ExpressionParser::call_arguments(std::vector<ExpressionPtr>& positional,
                                      std::vector<std::pair<std::string, ExpressionPtr>>& named) {
  tokens_.expect_symbol("(");
  while (!tokens_.is_symbol(")")) {
    if (tokens_.is(Token::Kind::name) && tokens_.is_symbol("=", 1)) {
      std::string name = tokens_.take().text;
      tokens_.take();
      named.emplace_back(std::move(name), parse());
    } else {
      if (!named.empty()) tokens_.fail("an argument without a name follows one with a name");
      positional.push_back(parse());
    }
    if (!tokens_.take_symbol(",")) break;
  }
  tokens_.expect_symbol(")");
}

FilterCall ExpressionParser::parse_filter() {
  FilterCall out;
  out.name = tokens_.expect_any_name("the name of a filter");
  while (tokens_.take_symbol(".")) out.name += "." + tokens_.expect_any_name("a name");
  if (tokens_.is_symbol("(")) call_arguments(out.arguments, out.named);
  return out;
}

ExpressionPtr ExpressionParser::filters_and_tests(ExpressionPtr expression) {
  for (;;) {
    const int line = tokens_.line();
    if (tokens_.take_symbol("|")) {
      ExpressionPtr out = make(Kind::filter, line);
      FilterCall call = parse_filter();
      out->text = std::move(call.name);
      add(*out, std::move(expression));
      for (auto& argument : call.arguments) add(*out, std::move(argument));
      for (auto& argument : call.named) {
        deepen(*out, *argument.second);
        out->named.push_back(std::move(argument));
      }
      expression = std::move(out);
    } else if (tokens_.take_name("is")) {
      expression = test(std::move(expression));
    } else if (tokens_.is_symbol("(")) {
      expression = postfix(std::move(expression));
    } else {
      return expression;
    }
  }
}

ExpressionPtr ExpressionParser::test(ExpressionPtr subject) {
  ExpressionPtr out = make(Kind::test, tokens_.line());
  out->negated = tokens_.take_name("not");
  out->text = tokens_.expect_any_name("the name of a test");
  while (tokens_.take_symbol(".")) out->text += "." + tokens_.expect_any_name("a name");
  add(*out, std::move(subject));
  const Token& next = tokens_.peek();
  if (tokens_.is_symbol("(")) {
    call_arguments(out->items, out->named);
    for (const auto& item : out->items) deepen(*out, *item);
    for (const auto& item : out->named) deepen(*out, *item.second);
    return out;
  }
  // One argument may stand without brackets: "x is divisibleby 3".
  const bool word = next.kind == Token::Kind::name && next.text != "else" && next.text != "or" &&
                    next.text != "and" && next.text != "if" && next.text != "in" &&
                    next.text != "not" && next.text != "is";
  if (word || next.kind == Token::Kind::string || next.kind == Token::Kind::integer ||
      next.kind == Token::Kind::real || tokens_.is_symbol("[") || tokens_.is_symbol("{")) {
    add(*out, postfix(primary()));
  }
  return out;
}

}  // namespace switchyard::chat_template
