// Templates in the ways model families write them, and where they are found.
#include "formats/chat_template/template_test.h"
#include "support/memory_file_system.h"

namespace switchyard {
namespace {

using chat_template::conversation;
using chat_template::refusal;
using nlohmann::ordered_json;
using ::testing::HasSubstr;
using testing_support::error_of;
using testing_support::MemoryFileSystem;

std::string render(const std::string& source, const ordered_json& messages,
                   ChatTemplateOptions options = {}) {
  options.bos_token = "<s>";
  options.eos_token = "</s>";
  return ChatTemplate(source, "t").render(messages, options);
}

TEST(ChatTemplate, TurnsBetweenMarks) {
  const std::string source =
      "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
      "message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
  const ordered_json hello = {{{"role", "user"}, {"content", "Hello"}}};
  EXPECT_EQ(render(source, hello), "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_EQ(render(source, hello, {.add_generation_prompt = false}),
            "<|im_start|>user\nHello<|im_end|>\n");
}

TEST(ChatTemplate, TurnsThatMustAlternate) {
  const std::string source = R"({{ bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {%- set system = messages[0]['content'] | trim + '\n\n' %}
    {%- set turns = messages[1:] %}
{%- else %}
    {%- set turns = messages %}
{%- endif %}
{%- for turn in turns %}
    {%- if (turn['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Roles must alternate') }}
    {%- endif %}
    {%- if turn.role == 'user' %}
        {{- ' [INST] ' + (system if loop.first and system is defined else '') + turn.content.strip() + ' [/INST]' }}
    {%- else %}
        {{- ' ' ~ turn.content ~ eos_token }}
    {%- endif %}
{%- endfor %})";
  EXPECT_EQ(render(source, conversation()),
            "<s> [INST] Be brief.\n\nHi [/INST] Hello</s> [INST] 2 + 2? [/INST]");
  const auto two_users = [&] {
    render(source, {{{"role", "user"}, {"content", "a"}}, {{"role", "user"}, {"content", "b"}}});
  };
  const Error::Parts parts = error_of(two_users);
  EXPECT_EQ(parts.what, "the template refuses the conversation: 'Roles must alternate'");
  EXPECT_EQ(parts.where, "t: line 10");
}

TEST(ChatTemplate, ToolsAndTheirCalls) {
  const std::string source = R"({%- if tools %}
{%- for tool in tools %}
{{- '\n' ~ (tool | tojson) }}
{%- endfor %}
{%- endif %}
{%- for m in messages %}
    {%- if m.tool_calls %}
        {%- for call in m.tool_calls %}
            {%- if call.function is defined %}
                {%- set call = call.function %}
            {%- endif %}
            {{- '\n<call>' ~ call.name ~ ' ' ~ (call.arguments | tojson) ~ '</call>' }}
        {%- endfor %}
    {%- elif m.content is string %}
        {{- '\n' ~ m.role ~ ': ' ~ m.content }}
    {%- else %}
        {%- for part in m.content %}{{ '\n' ~ part.text }}{% endfor %}
    {%- endif %}
{%- endfor %})";
  const ordered_json messages = ordered_json::parse(R"([
    {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
    {"role": "assistant", "content": null, "tool_calls": [
      {"type": "function", "function": {"name": "f", "arguments": {"z": 1, "a": "é"}}}]},
    {"role": "tool", "content": "5"}])");
  ChatTemplateOptions options;
  options.tools = ordered_json::parse(R"([{"type": "function", "function": {"name": "f"}}])");
  EXPECT_EQ(render(source, messages, options),
            "\n{\"type\": \"function\", \"function\": {\"name\": \"f\"}}\none\ntwo"
            "\n<call>f {\"z\": 1, \"a\": \"é\"}</call>\ntool: 5");
  EXPECT_EQ(render("{{ tools is none }}", messages), "True");
}

TEST(ChatTemplate, ThoughtsAreCutFromOldAnswers) {
  const std::string source = R"({%- set ns = namespace(last=messages|length - 1) %}
{%- for m in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.found is not defined and m.role == 'user' %}
        {%- set ns.last = index %}{% set ns.found = true %}
    {%- endif %}
{%- endfor %}
{%- for m in messages %}
    {%- set text = m.content %}
    {%- if m.role == 'assistant' and '</think>' in text and loop.index0 < ns.last %}
        {%- set text = text.split('</think>')[-1].lstrip('\n') %}
    {%- endif %}
    {{- m.role[0] ~ ':' ~ text ~ '|' }}
{%- endfor %}
{%- if enable_thinking is defined and enable_thinking is false %}
    {{- '<think>\n\n</think>' }}
{%- endif %})";
  const ordered_json messages = {{{"role", "user"}, {"content", "a"}},
                                 {{"role", "assistant"}, {"content", "<think>x</think>\n\nb"}},
                                 {{"role", "user"}, {"content", "c"}}};
  EXPECT_EQ(render(source, messages), "u:a|a:b|u:c|");
  ChatTemplateOptions options;
  options.variables = {{"enable_thinking", false}};
  EXPECT_EQ(render(source, messages, options), "u:a|a:b|u:c|<think>\n\n</think>");
}

TEST(ChatTemplate, IsFoundInAModelsDirectory) {
  MemoryFileSystem fs;
  EXPECT_FALSE(find_chat_template(fs, "m").has_value());
  fs.put("m/tokenizer_config.json", R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>"})");
  EXPECT_FALSE(find_chat_template(fs, "m").has_value());
  EXPECT_EQ(find_chat_tokens(fs, "m").bos, "<s>");
  EXPECT_EQ(find_chat_tokens(fs, "m").eos, "</s>");
  fs.put("m/tokenizer_config.json", R"({"chat_template": "one", "bos_token": null})");
  EXPECT_EQ(find_chat_template(fs, "m")->source(), "one");
  EXPECT_EQ(find_chat_tokens(fs, "m").bos, "");
  fs.put("m/tokenizer_config.json", R"({"chat_template": [
    {"name": "tool_use", "template": "two"}, {"name": "default", "template": "three"}]})");
  EXPECT_EQ(find_chat_template(fs, "m")->source(), "three");
  fs.put("m/chat_template.jinja", "four");
  EXPECT_EQ(find_chat_template(fs, "m")->source(), "four");
}

TEST(ChatTemplate, ErrorsNameTheFile) {
  MemoryFileSystem fs;
  const auto where = [&](const std::string& config) {
    fs.put("m/tokenizer_config.json", config);
    return error_of([&] { find_chat_template(fs, "m"); }).where;
  };
  EXPECT_EQ(where(R"({"chat_template": "{% if %}"})"),
            "m/tokenizer_config.json: chat_template: line 1");
  EXPECT_EQ(where(R"({"chat_template": 5})"), "m/tokenizer_config.json");
  EXPECT_EQ(where(R"({"chat_template": [{"name": "rag", "template": ""}]})"),
            "m/tokenizer_config.json");
  EXPECT_EQ(where("{"), "m/tokenizer_config.json");
}

}  // namespace
}  // namespace switchyard
