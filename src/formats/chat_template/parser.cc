#include "formats/chat_template/parser.h"

#include <algorithm>
#include <array>
#include <utility>

#include "formats/json.h"

namespace switchyard::chat_template {
namespace {

using Kind = Statement::Kind;

// Blocks inside blocks; published templates nest up to six.
constexpr int kMaxNesting = 64;

// Where a body ends: the names that may follow "{%".
using Ends = std::vector<std::string_view>;

class StatementParser {
 public:
  StatementParser(const std::vector<Token>& tokens, const std::string& where)
      : tokens_(tokens, where) {}

  Body run() { return parse_body({}); }

 private:
  Statement make(Kind kind, int line) const {
    Statement out;
    out.kind = kind;
    out.line = line;
    return out;
  }

  void end_tag() {
    if (!tokens_.is(Token::Kind::block_end)) {
      tokens_.fail("found " + tokens_.here() + " inside a block tag", "'%}'");
    }
    tokens_.take();
  }

  // Statements up to a tag of `ends`, which stays.
  Body parse_body(const Ends& ends) {
    if (++nesting_ > kMaxNesting) tokens_.fail("blocks are nested too deeply");
    Body body;
    for (;;) {
      const int line = tokens_.line();
      if (tokens_.is(Token::Kind::text)) {
        Statement text = make(Kind::text, line);
        text.text = tokens_.take().text;
        body.push_back(std::move(text));
      } else if (tokens_.is(Token::Kind::output_begin)) {
        tokens_.take();
        Statement output = make(Kind::output, line);
        output.expression = ExpressionParser(tokens_).parse(true);
        if (!tokens_.is(Token::Kind::output_end)) {
          tokens_.fail("found " + tokens_.here() + " inside an output tag", "'}}'");
        }
        tokens_.take();
        body.push_back(std::move(output));
      } else if (tokens_.is(Token::Kind::end)) {
        if (!ends.empty())
          tokens_.fail("a block is not closed", "'" + std::string(ends.back()) + "'");
        break;
      } else {
        if (is_end(ends)) break;
        tokens_.take();  // block_begin
        body.push_back(statement());
      }
    }
    --nesting_;
    return body;
  }

  // Whether the tag that comes ends a body; one that ends another kind of body is an error.
  bool is_end(const Ends& ends) const {
    for (const std::string_view end : ends) {
      if (tokens_.is_name(end, 1)) return true;
    }
    const Token& name = tokens_.peek(1);
    const bool ends_something =
        name.kind == Token::Kind::name &&
        (name.text.starts_with("end") || name.text == "else" || name.text == "elif");
    if (!ends_something) return false;
    tokens_.fail(shown(name.text) + " stands in the wrong place",
                 ends.empty() ? "a block to close" : "'" + std::string(ends.back()) + "'");
  }

  // Takes "{% name".
  void take_end(std::string_view name) {
    tokens_.take();
    tokens_.expect_name(name);
  }

  Branch branch(Body body, ExpressionPtr condition = nullptr) const {
    Branch out;
    out.condition = std::move(condition);
    out.body = std::move(body);
    return out;
  }

  // A body that ends with one tag.
  Body closed_body(std::string_view end) {
    end_tag();
    Body body = parse_body({end});
    take_end(end);
    return body;
  }

  Statement statement() {
    const Token name = tokens_.take();
    if (name.kind != Token::Kind::name) tokens_.fail("a block tag has no name");
    using Parse = Statement (StatementParser::*)(int);
    struct Known {
      std::string_view name;
      Parse parse;
    };
    constexpr std::array<Known, 8> kKnown{{
        {"if", &StatementParser::parse_if},
        {"for", &StatementParser::parse_for},
        {"set", &StatementParser::parse_set},
        {"macro", &StatementParser::parse_macro},
        {"filter", &StatementParser::parse_filter_block},
        {"generation", &StatementParser::parse_generation},
        {"break", &StatementParser::parse_break},
        {"continue", &StatementParser::parse_continue},
    }};
    for (const Known& known : kKnown) {
      if (known.name != name.text) continue;
      Statement out = (this->*known.parse)(name.line);
      end_tag();
      return out;
    }
    tokens_.fail("the statement " + shown(name.text) + " is not supported",
                 "if, for, set, macro, filter, generation, break, continue or raw");
  }

  Statement parse_if(int line) {
    Statement out = make(Kind::conditional, line);
    ExpressionPtr condition = ExpressionParser(tokens_).parse(true);
    for (;;) {
      end_tag();
      Body body = parse_body({"elif", "else", "endif"});
      out.branches.push_back(branch(std::move(body), std::move(condition)));
      tokens_.take();
      if (tokens_.take_name("elif")) {
        condition = ExpressionParser(tokens_).parse(true);
        continue;
      }
      if (tokens_.take_name("else"))
        out.branches.push_back(branch(closed_body("endif")));
      else
        tokens_.expect_name("endif");
      return out;
    }
  }

  Statement parse_for(int line) {
    Statement out = make(Kind::loop, line);
    const bool bracket = tokens_.take_symbol("(");
    do {
      out.targets.push_back(target());
    } while (tokens_.take_symbol(","));
    if (bracket) tokens_.expect_symbol(")");
    tokens_.expect_name("in");
    out.expression = ExpressionParser(tokens_).parse_without_condition();
    if (tokens_.take_name("if")) out.condition = ExpressionParser(tokens_).parse();
    if (tokens_.is_name("recursive")) tokens_.fail("recursive loops are not supported");
    end_tag();
    ++loops_;
    out.branches.push_back(branch(parse_body({"else", "endfor"})));
    --loops_;
    tokens_.take();
    if (tokens_.take_name("else")) {
      out.branches.push_back(branch(closed_body("endfor")));
    } else {
      tokens_.expect_name("endfor");
    }
    return out;
  }

  std::string target() {
    std::string name = tokens_.expect_any_name("a name to set");
    if (name == "true" || name == "false" || name == "none" || name == "True" || name == "False" ||
        name == "None") {
      tokens_.fail(shown(name) + " cannot be set");
    }
    return name;
  }

  Statement parse_set(int line) {
    Statement out = make(Kind::set, line);
    out.targets.push_back(target());
    if (tokens_.take_symbol(".")) {
      out.kind = Kind::set_space;
      out.text = tokens_.expect_any_name("the name of an attribute");
    } else {
      while (tokens_.take_symbol(",")) out.targets.push_back(target());
    }
    if (tokens_.take_symbol("=")) {
      out.expression = ExpressionParser(tokens_).parse(true);
      return out;
    }
    if (out.kind == Kind::set_space || out.targets.size() > 1) {
      tokens_.fail("found " + tokens_.here() + " in a set statement", "'='");
    }
    out.kind = Kind::set_block;
    while (tokens_.take_symbol("|"))
      out.filters.push_back(ExpressionParser(tokens_).parse_filter());
    out.branches.push_back(branch(closed_body("endset")));
    return out;
  }

  Statement parse_macro(int line) {
    Statement out = make(Kind::macro, line);
    out.text = tokens_.expect_any_name("the name of a macro");
    tokens_.expect_symbol("(");
    while (!tokens_.is_symbol(")")) {
      Parameter parameter;
      parameter.name = target();
      if (tokens_.take_symbol("=")) {
        parameter.fallback = ExpressionParser(tokens_).parse();
      } else if (!out.parameters.empty() && out.parameters.back().fallback) {
        tokens_.fail("a parameter without a default follows one with a default");
      }
      out.parameters.push_back(std::move(parameter));
      if (!tokens_.take_symbol(",")) break;
    }
    tokens_.expect_symbol(")");
    const int loops = std::exchange(loops_, 0);
    out.branches.push_back(branch(closed_body("endmacro")));
    loops_ = loops;
    if (tokens_.is(Token::Kind::name)) tokens_.take();  // {% endmacro name %}
    return out;
  }

  Statement parse_filter_block(int line) {
    Statement out = make(Kind::filter_block, line);
    do {
      out.filters.push_back(ExpressionParser(tokens_).parse_filter());
    } while (tokens_.take_symbol("|"));
    out.branches.push_back(branch(closed_body("endfilter")));
    return out;
  }

  Statement parse_generation(int line) {
    Statement out = make(Kind::scope, line);
    out.branches.push_back(branch(closed_body("endgeneration")));
    return out;
  }

  Statement parse_break(int line) { return leave_loop(Kind::loop_break, line); }
  Statement parse_continue(int line) { return leave_loop(Kind::loop_continue, line); }

  Statement leave_loop(Kind kind, int line) {
    if (loops_ == 0) tokens_.fail("a loop is left where there is none");
    return make(kind, line);
  }

  TokenCursor tokens_;
  int nesting_ = 0;
  int loops_ = 0;  // around the statement
};

}  // namespace

const Token& TokenCursor::peek(std::size_t offset) const {
  return tokens_[std::min(at_ + offset, tokens_.size() - 1)];
}

Token TokenCursor::take() {
  const Token& token = peek();
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool TokenCursor::is_symbol(std::string_view symbol, std::size_t offset) const {
  const Token& token = peek(offset);
  return token.kind == Token::Kind::symbol && token.text == symbol;
}

bool TokenCursor::is_name(std::string_view name, std::size_t offset) const {
  const Token& token = peek(offset);
  return token.kind == Token::Kind::name && token.text == name;
}

bool TokenCursor::take_symbol(std::string_view symbol) {
  if (!is_symbol(symbol)) return false;
  take();
  return true;
}

bool TokenCursor::take_name(std::string_view name) {
  if (!is_name(name)) return false;
  take();
  return true;
}

void TokenCursor::expect_symbol(std::string_view symbol) {
  if (!take_symbol(symbol)) fail("found " + here(), "'" + std::string(symbol) + "'");
}

void TokenCursor::expect_name(std::string_view name) {
  if (!take_name(name)) fail("found " + here(), "'" + std::string(name) + "'");
}

std::string TokenCursor::expect_any_name(const std::string& what) {
  if (!is(Token::Kind::name)) fail("found " + here(), what);
  return take().text;
}

void TokenCursor::fail(const std::string& what, const std::string& expected) const {
  fail_at(where_, line(), what, expected);
}

std::string describe(const Token& token) {
  switch (token.kind) {
    case Token::Kind::text:
      return "text";
    case Token::Kind::output_begin:
    case Token::Kind::block_begin:
      return "the beginning of a tag";
    case Token::Kind::output_end:
    case Token::Kind::block_end:
      return "the end of the tag";
    case Token::Kind::string:
      return "the string " + shown(token.text);
    case Token::Kind::end:
      return "the end of the template";
    default:
      return shown(token.text);
  }
}

Body parse(const std::vector<Token>& tokens, const std::string& where) {
  return StatementParser(tokens, where).run();
}

}  // namespace switchyard::chat_template
