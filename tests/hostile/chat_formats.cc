// Chat templates: any source, on a conversation with all that templates look at.
#include "switchyard/chat_template.h"

#include "base/check.h"
#include "formats/utf8.h"
#include "hostile/formats.h"

namespace switchyard::hostile {
namespace {

const nlohmann::ordered_json& conversation() {
  static const auto messages = nlohmann::ordered_json::parse(R"([
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": " Hi "}]},
    {"role": "assistant", "content": null,
     "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1.5, "y": [true, null]}}}]},
    {"role": "tool", "content": "é"}, {"role": "user", "content": "2 + 2?"}])");
  return messages;
}

}  // namespace

std::vector<std::string> chat_template_seeds() {
  return {
      R"({{ bos_token }}{% for m in messages %}{{ '<' + m['role'] + '>\n' }}{% if m.content is string %}
{{- m.content | trim }}{% else %}{{ m.content | tojson(indent=1) }}{% endif %}
{% endfor %}{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}
)",
      R"({%- set ns = namespace(n=0, t='') %}{%- macro f(a, b=2) -%}[{{ a ~ b }}]{%- endmacro %}
{%- for k, v in {'a': 1, 'b': (2, -3)}.items() if k != 'c' %}{% set ns.n = ns.n + loop.index %}
{{- f(v, b=ns.n // 2) }}{% else %}none{% endfor %}{# note #}
{% set t %}{{ "a,b".split(',')[::-1] | join('-') }}{% endset %}{{ t[1:] if t is defined else 0 }}
{%- for m in messages | selectattr('role', 'equalto', 'user') | list %}{% break %}{% endfor %}
{% generation %}{{ range(3) | map('string') | list | last | int * 2.5e0 }}{% endgeneration %})",
      R"({% raw %}{{ x }}{% endraw %}{% filter upper %}{{ messages[-1].content.replace('2', 'x') }}
{% endfilter %}{% if not tools and messages | length > 1 or 1 in [1] %}{{ '\u00e9' * 2 }}{% endif %})",
  };
}

void read_chat_template(std::string_view bytes) {
  const ChatTemplate chat_template(std::string(bytes), "template");
  const ChatTemplateOptions options{.bos_token = "<s>", .eos_token = "</s>"};
  const std::string text = chat_template.render(conversation(), options);
  SWITCHYARD_CHECK(find_invalid_utf8(text) == std::string_view::npos);
}

}  // namespace switchyard::hostile
