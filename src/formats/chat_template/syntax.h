// A template as a tree. Built by the parser, walked by the interpreter; nothing in it changes.
//
// Every expression knows how deep its tree is and the parser bounds that, so walks and destruction
// are bounded recursions.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "formats/chat_template/value.h"

namespace switchyard::chat_template {

struct Expression {
  enum class Kind {
    constant,     // value
    name,         // text
    list,         // items
    tuple,        // items
    dict,         // items: key, value, key, value ...
    attribute,    // items[0].text
    item,         // items[0][items[1]]
    slice,        // items[0][items[1]:items[2]:items[3]]; null where nothing stands
    call,         // items[0](items[1...], named...)
    filter,       // items[0] | text(items[1...], named...)
    test,         // items[0] is text(items[1...]); negated: is not
    logical_not,  // not items[0]
    minus,        // -items[0]
    plus,         // +items[0]
    logical_and,
    logical_or,
    arithmetic,   // items[0] text items[1]
    concatenate,  // items joined by ~
    compare,      // items[0] symbols[0] items[1] symbols[1] items[2] ...
    conditional,  // items[0] if items[1] else items[2]; items[2] null: undefined
  };

  Kind kind = Kind::constant;
  int line = 1;
  int depth = 1;
  std::string text = {};
  Value value = {};
  bool negated = false;
  std::vector<std::unique_ptr<Expression>> items = {};
  std::vector<std::pair<std::string, std::unique_ptr<Expression>>> named = {};
  std::vector<std::string> symbols = {};
};

using ExpressionPtr = std::unique_ptr<Expression>;

struct Statement;
using Body = std::vector<Statement>;

// What a filter does to the text of a block: {% filter upper %}, {% set x | trim %}.
struct FilterCall {
  std::string name;
  std::vector<ExpressionPtr> arguments;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
};

struct Branch {
  ExpressionPtr condition;  // null: else
  Body body;
};

struct Parameter {
  std::string name;
  ExpressionPtr fallback;  // null: none
};

struct Statement {
  enum class Kind {
    text,          // text
    output,        // expression
    conditional,   // branches
    loop,          // for targets in expression if condition: branches[0], else branches[1]
    set,           // targets = expression
    set_space,     // targets[0].text = expression
    set_block,     // targets[0] = branches[0], through filters
    macro,         // text(parameters): branches[0]
    filter_block,  // branches[0] through filters
    scope,         // branches[0] with names of its own: {% generation %}
    loop_break,
    loop_continue,
  };

  Kind kind = Kind::text;
  int line = 1;
  std::string text = {};
  ExpressionPtr expression = {};
  ExpressionPtr condition = {};
  std::vector<std::string> targets = {};
  std::vector<Parameter> parameters = {};
  std::vector<FilterCall> filters = {};
  std::vector<Branch> branches = {};
};

}  // namespace switchyard::chat_template
