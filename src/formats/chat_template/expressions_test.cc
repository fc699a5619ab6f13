// Expressions mean what they mean in Jinja, which is mostly what they mean in Python.
#include "formats/chat_template/template_test.h"

namespace switchyard::chat_template {
namespace {

using ::testing::HasSubstr;

struct Case {
  const char* expression;
  const char* written;
};

const ordered_json kNames = ordered_json::parse(R"({
  "s": "aXbXc", "n": null, "f": 1.5, "l": [3, 1, 2], "t": true,
  "d": {"k": 1, "b": "two", "items": 7},
  "m": [{"role": "user", "content": "q"}, {"role": "tool"}]})");

void expect_all(const std::vector<Case>& cases) {
  for (const Case& each : cases)
    EXPECT_EQ(value(each.expression, kNames), each.written) << each.expression;
}

TEST(Expressions, LiteralsAndTheirTexts) {
  expect_all({{"1", "1"},
              {"1_000", "1000"},
              {"2.0", "2.0"},
              {"1e16", "1e+16"},
              {"1e15", "1000000000000000.0"},
              {"0.0001", "0.0001"},
              {"0.00001", "1e-05"},
              {"1/3", "0.3333333333333333"},
              {"true", "True"},
              {"False", "False"},
              {"none", "None"},
              {"undefined_name", ""},
              {R"('a' "b")", "ab"},
              {R"('\x41\u00e9\n\'\q')", "A\u00e9\n'\\q"},
              {"[1, 'a', none,]", "[1, 'a', None]"},
              {"(1,)", "(1,)"},
              {"()", "()"},
              {"{'a': 1, 'b': [2.5]}", "{'a': 1, 'b': [2.5]}"},
              {R"(["it's", '"', '\n'])", "[\"it's\", '\"', '\\n']"}});
}

TEST(Expressions, Operators) {
  expect_all({{"1 + 2 * 3", "7"},
              {"(1 + 2) * 3", "9"},
              {"7 // 2", "3"},
              {"-7 // 2", "-4"},
              {"-7 % 3", "2"},
              {"7.5 % -2", "-0.5"},
              {"2 ** 10", "1024"},
              {"2 ** -1", "0.5"},
              {"4 / 2", "2.0"},
              {"1 ~ 'a' ~ none ~ undefined_name", "1aNone"},
              {"'ab' * 2", "abab"},
              {"[1] + [2]", "[1, 2]"},
              {"not 0 and 1", "1"},
              {"'' or 'b'", "b"},
              {"1 < 2 < 3", "True"},
              {"1 < 3 < 2", "False"},
              {"1 == 1.0", "True"},
              {"1 == true", "True"},
              {"'1' == 1", "False"},
              {"[1, [2]] == [1, [2]]", "True"},
              {"(1,) == [1]", "False"},
              {"{'a': 1, 'b': 2} == {'b': 2, 'a': 1}", "True"},
              {"'b' in s", "True"},
              {"2 in l", "True"},
              {"'k' in d", "True"},
              {"'q' not in d", "True"},
              {"1 in undefined_name", "False"},
              {"'a' if n else 'b'", "b"},
              {"'a' if n", ""},
              {"'a' if t else 'b' if n else 'c'", "a"},
              {"-f", "-1.5"}});
}

TEST(Expressions, AttributesItemsAndSlices) {
  expect_all({{"d.k", "1"},
              {"d['b']", "two"},
              {"d['items']", "7"},
              {"d.items() | list | length", "3"},
              {"d.nothing", ""},
              {"m[0].role", "user"},
              {"m.0.role", "user"},
              {"m[-1]['role']", "tool"},
              {"m[7]", ""},
              {"l[1:]", "[1, 2]"},
              {"l[::-1]", "[2, 1, 3]"},
              {"l[-2:]", "[1, 2]"},
              {"l[5:]", "[]"},
              {"'héllo'[1]", "é"},
              {"'héllo'[1:4:2]", "él"},
              {"'abc'[::-1]", "cba"},
              {"d.get('q', 5)", "5"},
              {"d.get('q')", "None"}});
}

TEST(Expressions, MethodsOfStrings) {
  expect_all({{"' a '.strip()", "a"},
              {"'xxaxx'.strip('x')", "a"},
              {"'\u3000a\u00a0'.strip()", "a"},
              {"'xa'.lstrip('x') ~ 'ax'.rstrip('x')", "aa"},
              {"s.split('X')", "['a', 'b', 'c']"},
              {"s.split('X', 1)", "['a', 'bXc']"},
              {"s.rsplit('X', 1)[-1]", "c"},
              {"' a  b '.split()", "['a', 'b']"},
              {"'a\\nb\\n'.splitlines()", "['a', 'b']"},
              {"s.startswith('aX')", "True"},
              {"s.endswith(('b', 'c'))", "True"},
              {"s.replace('X', '-', 1)", "a-bXc"},
              {"'Straße'.upper()", "STRASSE"},
              {"'ÀB'.lower()", "àb"},
              {"'hello world'.title()", "Hello World"},
              {"'hELLO'.capitalize()", "Hello"},
              {"s.find('b')", "2"},
              {"s.find('q')", "-1"},
              {"s.count('X')", "2"},
              {"', '.join(['a', 'b'])", "a, b"},
              {"'12'.isdigit()", "True"},
              {"'abc'.removeprefix('a').removesuffix('c')", "b"}});
}

TEST(Expressions, Filters) {
  expect_all({{"' a ' | trim | upper", "A"},
              {"l | length", "3"},
              {"'é😀' | length", "2"},
              {"undefined_name | length", "0"},
              {"l | join('-')", "3-1-2"},
              {"m | join(',', attribute='role')", "user,tool"},
              {"undefined_name | default('x')", "x"},
              {"'' | default('x', true)", "x"},
              {"n | default('x')", "None"},
              {"l | first", "3"},
              {"l | last", "2"},
              {"'ab' | list", "['a', 'b']"},
              {"'7' | int + 1", "8"},
              {"'x' | int(9)", "9"},
              {"'3.9' | int", "3"},
              {"7 | string ~ ''", "7"},
              {"m | map(attribute='role') | join", "usertool"},
              {"['a'] | map('upper') | list", "['A']"},
              {"m | selectattr('role', 'equalto', 'user') | list | length", "1"},
              {"m | rejectattr('content') | map(attribute='role') | list", "['tool']"},
              {"[1, 2, 3] | select('odd') | list", "[1, 3]"},
              {"n | select | list", "[]"},
              {"l | sort", "[1, 2, 3]"},
              {"l | sort(reverse=true)", "[3, 2, 1]"},
              {"['b', 'A', 'a'] | unique | list", "['b', 'A']"},
              {"l | max - l | min", "2"},
              {"l | sum", "6"},
              {"d | dictsort | first", "('b', 'two')"},
              {"d | items | list | first", "('k', 1)"},
              {"'a\\nb\\n\\nc' | indent(2)", "a\n  b\n\n  c"},
              {"2.567 | round(1)", "2.6"},
              {"-3 | abs", "3"}});
}

TEST(Expressions, JsonIsPythons) {
  expect_all(
      {{"d | tojson", R"({"k": 1, "b": "two", "items": 7})"},
       {"[1.0, n, t, 'é\"\\n', []] | tojson", R"([1.0, null, true, "é\"\n", []])"},
       {"{'a': [1], 'b': {}} | tojson(indent=2)", "{\n  \"a\": [\n    1\n  ],\n  \"b\": {}\n}"},
       {"'é😀' | tojson(ensure_ascii=true)", R"("\u00e9\ud83d\ude00")"},
       {"{'b': 1, 'a': 2} | tojson(sort_keys=true)", R"({"a": 2, "b": 1})"},
       {"[1, 2] | tojson(separators=(',', ':'))", "[1,2]"}});
}

TEST(Expressions, Tests) {
  expect_all({{"n is none", "True"},
              {"q is defined", "False"},
              {"q is undefined", "True"},
              {"d.k is defined and d.q is not defined", "True"},
              {"s is string", "True"},
              {"d is mapping", "True"},
              {"l is sequence and l is iterable", "True"},
              {"1 is number and true is number", "True"},
              {"true is integer", "False"},
              {"1.5 is float", "True"},
              {"3 is odd", "True"},
              {"6 is divisibleby 3", "True"},
              {"2 is in [1, 2]", "True"},
              {"2 is eq(2)", "True"},
              {"true is true", "True"},
              {"1 is true", "False"},
              {"'a' is lower and 'A' is upper", "True"}});
}

TEST(Expressions, Functions) {
  expect_all({{"range(3) | list", "[0, 1, 2]"},
              {"range(4, 0, -2) | list", "[4, 2]"},
              {"dict(a=1).a", "1"},
              {"namespace(a=1).a", "1"}});
  ChatTemplateOptions options;
  options.now = std::chrono::system_clock::from_time_t(86400 * 365);
  EXPECT_EQ(ChatTemplate("{{ strftime_now('%Y') }}", "t").render(ordered_json::array(), options),
            "1971");
}

TEST(Expressions, WhatMeansNothingIsAnErrorWithTheLine) {
  const auto refused = [](const std::string& expression) {
    const Error::Parts parts = refusal("\n{{ " + expression + " }}", kNames);
    EXPECT_EQ(parts.where, "t: line 2") << expression;
    return parts.what;
  };
  EXPECT_EQ(refused("'a' + 1"), "'+' between a string and a number means nothing");
  EXPECT_EQ(refused("'a' + q"), "'q' is undefined");
  EXPECT_EQ(refused("q.a"), "'q' is undefined and is asked for 'a'");
  EXPECT_EQ(refused("q()"), "'q' is undefined and is called");
  EXPECT_EQ(refused("1 // 0"), "a number is divided by zero");
  EXPECT_EQ(refused("9223372036854775807 + 1"), "a number grows beyond 64 bits");
  EXPECT_EQ(refused("99999999999999999999"), "the number '99999999999999999999' is too large");
  EXPECT_EQ(refused("1 < 'a'"), "'<' between a number and a string means nothing");
  EXPECT_EQ(refused("'a' | shout"), "there is no filter 'shout'");
  EXPECT_EQ(refused("1 is big"), "there is no test 'big'");
  EXPECT_EQ(refused("l.append(1)"), "append() changes a value");
  EXPECT_EQ(refused("q | tojson"), "'q' is undefined and has no JSON");
  EXPECT_EQ(refused("'a' | upper(1)"), "the filter 'upper' gets more arguments than it takes");
  EXPECT_EQ(refused("{1: 2}"), "a dict has a number as a key");
  EXPECT_THAT(refused("m | select"), HasSubstr("lazy filter gives has no text"));
  EXPECT_EQ(refused("raise_exception('Only\nthis')"),
            "the template refuses the conversation: 'Only\\x0athis'");
}

}  // namespace
}  // namespace switchyard::chat_template
