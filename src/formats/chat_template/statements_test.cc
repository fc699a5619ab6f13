// Statements, white space, scopes.
#include "formats/chat_template/template_test.h"

namespace switchyard::chat_template {
namespace {

TEST(Statements, BlockTagsTakeTheirLine) {
  EXPECT_EQ(render("a\n  {% if true %}\nb\n  {% endif %}\nc\n"), "a\nb\nc");
  EXPECT_EQ(render("a {% if true %} b {% endif %} c"), "a  b  c");
  EXPECT_EQ(render("  {# gone #}\nx\n  {{ 1 }}\ny"), "x\n  1\ny");
  EXPECT_EQ(render("a\n  {%+ if true %}\nb{% endif +%}\nc"), "a\n  b\nc");
}

TEST(Statements, MinusTakesAllWhiteSpace) {
  EXPECT_EQ(render("a \n\n {%- if true -%} \n b \n {%- endif -%} \n c"), "abc");
  EXPECT_EQ(render("a \n {{- 1 -}} \n b"), "a1b");
  EXPECT_EQ(render("a {#- c -#} b"), "ab");
}

TEST(Statements, OneNewlineAtTheEndGoes) {
  EXPECT_EQ(render("a\n"), "a");
  EXPECT_EQ(render("a\n\n"), "a\n");
  EXPECT_EQ(render("a\r\nb\r\n"), "a\nb");
}

TEST(Statements, BracketsInsideAnOutput) {
  EXPECT_EQ(render("{{ {'a': {'b': 1}}['a']['b'] }}"), "1");
  EXPECT_EQ(render("{ } {x} %} }} {"), "{ } {x} %} }} {");
  EXPECT_EQ(render("{% raw %}{{ x }}{% endraw %}"), "{{ x }}");
}

TEST(Statements, ConditionsTakeTheFirstBranchThatHolds) {
  const std::string source = "{% if x == 1 %}one{% elif x == 2 %}two{% else %}more{% endif %}";
  EXPECT_EQ(render(source, {{"x", 1}}), "one");
  EXPECT_EQ(render(source, {{"x", 2}}), "two");
  EXPECT_EQ(render(source, {{"x", 3}}), "more");
}

TEST(Statements, LoopsKnowWhereTheyAre) {
  EXPECT_EQ(render("{% for x in 'abc' %}{{ loop.index }}{{ x }}{{ '.' if loop.last else ',' }}"
                   "{% endfor %}"),
            "1a,2b,3c.");
  EXPECT_EQ(render("{% for x in [1, 2, 3] %}{{ loop.previtem }}<{{ loop.revindex0 }}>"
                   "{{ loop.nextitem }} {% endfor %}"),
            "<2>2 1<1>3 2<0> ");
  EXPECT_EQ(render("{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{% endfor %}"), "a1b2");
  EXPECT_EQ(
      render("{% for x in [1, 2, 3, 4] if x is even %}{{ x }}/{{ loop.length }} {% endfor %}"),
      "2/2 4/2 ");
  EXPECT_EQ(render("{% for x in [] %}a{% else %}none{% endfor %}"), "none");
  EXPECT_EQ(render("{% for x in nothing %}a{% endfor %}"), "");
  EXPECT_EQ(render("{% for x in range(9) %}{% if x == 1 %}{% continue %}{% endif %}"
                   "{% if x == 3 %}{% break %}{% endif %}{{ x }}{% endfor %}"),
            "02");
  EXPECT_EQ(render("{% for x in 'ab' %}{{ loop.cycle('-', '+') }}{% endfor %}"), "-+");
}

TEST(Statements, NamesSetInALoopEndWithTheRound) {
  EXPECT_EQ(render("{% set x = 0 %}{% for i in range(3) %}{% set x = x + 1 %}{{ x }}{% endfor %}"
                   "{{ x }}"),
            "1110");
  EXPECT_EQ(render("{% set ns = namespace(x=0) %}{% for i in range(3) %}{% set ns.x = ns.x + 1 %}"
                   "{% endfor %}{{ ns.x }}"),
            "3");
  EXPECT_EQ(render("{% if true %}{% set x = 5 %}{% endif %}{{ x }}"), "5");
  EXPECT_EQ(render("{% for loop_x in [1] %}{% endfor %}{{ loop_x is defined }}"), "False");
}

TEST(Statements, SetTakesSeveralNamesAndBlocks) {
  EXPECT_EQ(render("{% set a, b = 1, 2 %}{{ a }}{{ b }}"), "12");
  EXPECT_EQ(render("{% set a | upper %}x{{ 1 }}{% endset %}[{{ a }}]"), "[X1]");
  EXPECT_EQ(render("{% filter upper %}ab{% endfilter %}"), "AB");
}

TEST(Statements, MacrosAreFunctions) {
  EXPECT_EQ(render("{% macro f(a, b='B') %}[{{ a }}{{ b }}]{% endmacro %}"
                   "{{ f(1) }}{{ f(1, 2) }}{{ f(b=3) }}"),
            "[1B][12][3]");
  EXPECT_EQ(render("{% set x = 1 %}{% macro f() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ f() }}"),
            "2");
  EXPECT_EQ(render("{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}"
                   "{{ f(3) }}"),
            "3210");
}

TEST(Statements, GenerationMarksWriteWhatIsInside) {
  EXPECT_EQ(render("{% generation %}a{% set x = 1 %}{% endgeneration %}{{ x }}"), "a");
}

TEST(Statements, WhatIsNotWellFormedIsAnErrorWithTheLine) {
  struct Wrong {
    const char* source;
    const char* what;
    int line;
  };
  for (const Wrong& wrong : std::initializer_list<Wrong>{
           {"a\n{% if x %}", "a block is not closed", 2},
           {"{% endif %}", "'endif' stands in the wrong place", 1},
           {"{% if x %}{% endfor %}", "'endfor' stands in the wrong place", 1},
           {"\n\n{{ 1", "a tag is not closed", 3},
           {"{{ 'a }}", "a string is not closed", 1},
           {"{# a", "a comment is not closed", 1},
           {"{% raw %}a", "a raw block is not closed", 1},
           {"{{ }}", "an expression begins with the end of the tag", 1},
           {"{{ 1 2 }}", "found '2' inside an output tag", 1},
           {"{{ (1 }}", "found '}'", 1},
           {"{{ a ? b }}", "the character '?' means nothing in a tag", 1},
           {"{% include 'x' %}", "the statement 'include' is not supported", 1},
           {"{% break %}", "a loop is left where there is none", 1},
           {"{% set a.b, c = 1 %}", "found ',' in a set statement", 1},
           {"{% set x = 1 %}{% set x.y = 1 %}", "the attribute 'y' of a number is set", 1},
           {"{% for a, b in [1] %}{% endfor %}", "there is nothing to go through in a number", 1},
           {"{% for a, b in [[1]] %}{% endfor %}", "1 values stand for 2 names", 1},
           {"{{ f(a=1, 2) }}", "an argument without a name follows one with a name", 1},
       }) {
    const Error::Parts parts = refusal(wrong.source);
    EXPECT_EQ(parts.what, wrong.what) << wrong.source;
    EXPECT_EQ(parts.where, "t: line " + std::to_string(wrong.line)) << wrong.source;
  }
}

}  // namespace
}  // namespace switchyard::chat_template
