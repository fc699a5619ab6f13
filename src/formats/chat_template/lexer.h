// A template's text as tokens.
//
// White space around tags is dropped as transformers sets Jinja up: trim_blocks (the newline behind
// a block tag), lstrip_blocks (spaces before a block tag that begins its line), "-" on either side
// (all of it), "+" (none of it); one newline at the very end.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace switchyard::chat_template {

struct Token {
  enum class Kind {
    text,
    output_begin,
    output_end,
    block_begin,
    block_end,
    name,
    string,
    integer,
    real,
    symbol,
    end
  };
  Kind kind = Kind::end;
  std::string text;  // of a string its meaning, of a symbol its characters
  int line = 1;
};

// Throws Error naming `where` and the line for what is no template.
std::vector<Token> lex(std::string_view source, const std::string& where);

// Throws the Error of a template: `where` gets the line.
[[noreturn]] void fail_at(const std::string& where, int line, const std::string& what,
                          const std::string& expected = {});

}  // namespace switchyard::chat_template
