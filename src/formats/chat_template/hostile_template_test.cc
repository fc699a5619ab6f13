// Templates that mean harm end with one Error, soon.
#include "formats/chat_template/template_test.h"

namespace switchyard::chat_template {
namespace {

using ::testing::HasSubstr;

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(HostileTemplate, EndlessWorkIsStopped) {
  EXPECT_THAT(refusal("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}"
                      "{% endfor %}")
                  .what,
              HasSubstr("too much work"));
  EXPECT_THAT(refusal("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}").what,
              HasSubstr("recurses too deeply"));
  EXPECT_THAT(refusal("{{ range(100000000) }}").what, HasSubstr("range() is too long"));
}

TEST(HostileTemplate, GrowingTextsAreStopped) {
  const std::string doubling =
      "{% set n = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set n.s = n.s + n.s %}"
      "{% endfor %}";
  EXPECT_FALSE(refusal(doubling).what.empty());
  EXPECT_THAT(refusal("{{ 'a' * 1000000000000 }}").what, HasSubstr("a repetition is too long"));
  EXPECT_FALSE(refusal("{{ ('a' * 30000000) | replace('', 'b' * 30000000) }}").what.empty());
  EXPECT_FALSE(refusal("{% set x = 'a' * 9999999 %}{{ x | indent(1000) | join(x) }}").what.empty());
}

TEST(HostileTemplate, ValuesInsideValuesAreStopped) {
  // Each round holds the last one twice: written out it would be 2^60 values.
  const std::string nest =
      "{% set n = namespace(l=[1]) %}{% for i in range(60) %}{% set n.l = [n.l, n.l] %}{% endfor "
      "%}";
  EXPECT_THAT(refusal(nest + "{{ n.l }}").what, HasSubstr("too much work"));
  EXPECT_THAT(refusal(nest + "{{ n.l | tojson }}").what, HasSubstr("too much work"));
  EXPECT_THAT(refusal(nest + "{{ n.l == [n.l[0], n.l[1]] }}").what, HasSubstr("too much work"));
  EXPECT_THAT(refusal("{% set n = namespace(l=[]) %}{% for i in range(100) %}"
                      "{% set n.l = [n.l] %}{% endfor %}")
                  .what,
              HasSubstr("nested too deeply"));
  // A namespace may hold itself; it has no text.
  EXPECT_THAT(refusal("{% set n = namespace() %}{% set n.n = [n] %}{{ n.n }}").what,
              HasSubstr("a namespace has no text"));
}

TEST(HostileTemplate, DeepTreesAreStopped) {
  for (const std::string& source :
       {"{{ " + repeated("(", 5000) + "1", "{{ " + repeated("[", 5000),
        "{{ " + repeated("not ", 5000) + "1 }}", "{{ " + repeated("-", 5000) + "1 }}",
        "{{ 1" + repeated(" + 1", 5000) + " }}", "{{ a" + repeated(".a", 5000) + " }}",
        "{{ a" + repeated("|trim", 5000) + " }}", "{{ a" + repeated(" is defined", 5000) + " }}",
        "{{ 1" + repeated(" if 1 else 1", 5000) + " }}",
        "{{ 1" + repeated(" ~ 1 and 1", 5000) + " }}", repeated("{% if 1 %}", 5000),
        repeated("{% for a in b %}", 5000), repeated("{{ {'a': ", 5000)}) {
    EXPECT_THAT(refusal(source).where, HasSubstr("t: line 1")) << source.substr(0, 40);
  }
}

TEST(HostileTemplate, LongChainsThatAreFlatAreFine) {
  EXPECT_EQ(render("{{ 1" + repeated(" ~ 1", 1000) + " }}").size(), 1001U);
  EXPECT_EQ(render(repeated("{% if false %}{% endif %}", 5000)), "");
}

TEST(HostileTemplate, TextsThatAreNotUtf8AreRefused) {
  EXPECT_THAT(refusal("a\xff").what, HasSubstr("not UTF-8 at byte 1"));
  const auto render_broken = [] {
    ChatTemplate("{{ messages }}", "t").render({{{"role", "user"}, {"content", "\xff"}}});
  };
  EXPECT_EQ(testing_support::error_of(render_broken).what,
            "the messages hold a text that is not UTF-8");
  EXPECT_THAT(refusal(std::string(2U << 20, 'a')).what, HasSubstr("2097152 bytes"));
}

TEST(HostileTemplate, MessagesMustBeAList) {
  EXPECT_EQ(testing_support::error_of([] {
              ChatTemplate("", "t").render({{"role", "user"}});
            }).where,
            "messages");
}

}  // namespace
}  // namespace switchyard::chat_template
