#include "formats/tokenizer/gguf_pre_tokenizers.h"

#include <array>

#include "switchyard/error.h"

#include "formats/json.h"
#include "formats/tokenizer/split_pattern.h"

namespace switchyard::tokenizer {
namespace {

using Patterns = std::string_view[];
using Extra = GgufPreTokenizer::Extra;

constexpr std::string_view kOneDigit = R"(\p{N})";
constexpr std::string_view kThreeDigits = R"(\p{N}{1,3})";
constexpr std::string_view kThreeAsciiDigits = "[0-9][0-9][0-9]";
constexpr std::string_view kNewline = R"([\r\n])";
// Han up to U+9FA5, Hangul, and all that lies below Han from U+0800.
constexpr std::string_view kDeepSeekWide =
    R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)";

// The letters with case that DeepSeek LLM lists one by one.
constexpr std::string_view kDeepSeekLetters =
    R"(\s?[)"
    R"(A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293})"
    R"(\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386})"
    R"(\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F})"
    R"(\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA})"
    R"(\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A})"
    R"(\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D})"
    R"(\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4})"
    R"(\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3})"
    R"(\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107})"
    R"(\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D})"
    R"(\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184})"
    R"(\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D})"
    R"(\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E})"
    R"(\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A})"
    R"(\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB})"
    R"(\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943})"
    R"(]+)";

constexpr Patterns kDefault = {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2Pattern, R"(\p{N}+)",
                               kThreeAsciiDigits};
constexpr Patterns kGpt2 = {kGpt2Pattern};
constexpr Patterns kLlama3 = {kLlama3Pattern};
constexpr Patterns kQwen2 = {kQwen2Pattern};
constexpr Patterns kGpt2OneDigit = {kOneDigit, kGpt2Pattern};
constexpr Patterns kFalcon = {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2Pattern, kThreeAsciiDigits};
constexpr Patterns kDeepSeekLlm = {
    kNewline,
    kDeepSeekLetters,
    R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)",
    R"(\s+$)",
    kDeepSeekWide,
    kOneDigit};
constexpr Patterns kDeepSeekCoder = {kNewline, R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDeepSeekWide,
                                     kOneDigit};
constexpr Patterns kDeepSeekV3 = {
    kThreeDigits, R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)",
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr Patterns kGpt4o = {
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr Patterns kTekken = {
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};
constexpr Patterns kBailing = {
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"};

// Two names with one rule come from two families of models.
constexpr std::array kKnown = {
    GgufPreTokenizer{"default", kDefault},
    GgufPreTokenizer{"gpt-2", kGpt2},
    GgufPreTokenizer{"phi-2", kGpt2},
    GgufPreTokenizer{"jais", kGpt2},
    GgufPreTokenizer{"mpt", kGpt2, Extra::nfc},   // GPT-NeoX
    GgufPreTokenizer{"olmo", kGpt2, Extra::nfc},  // OLMo, OLMoE
    GgufPreTokenizer{"llama-bpe", kLlama3, Extra::llama3},
    GgufPreTokenizer{"llama3", kLlama3, Extra::llama3},
    GgufPreTokenizer{"llama-v3", kLlama3, Extra::llama3},
    GgufPreTokenizer{"falcon3", kLlama3, Extra::llama3},
    GgufPreTokenizer{"pixtral", kLlama3, Extra::llama3},
    GgufPreTokenizer{"dbrx", kLlama3},
    GgufPreTokenizer{"smaug-bpe", kLlama3},
    GgufPreTokenizer{"glm4", kLlama3},
    GgufPreTokenizer{"chatglm-bpe", kLlama3},
    GgufPreTokenizer{"qwen2", kQwen2, Extra::nfc},  // Qwen 2, 2.5 and 3
    GgufPreTokenizer{"deepseek-r1-qwen", kQwen2},
    GgufPreTokenizer{"megrez", kQwen2},
    GgufPreTokenizer{"stablelm2", kQwen2},
    GgufPreTokenizer{"hunyuan", kQwen2},
    GgufPreTokenizer{"deepseek-llm", kDeepSeekLlm},  // DeepSeek LLM, MoE, V2
    GgufPreTokenizer{"deepseek-coder", kDeepSeekCoder},
    GgufPreTokenizer{"deepseek-v3", kDeepSeekV3},  // V3, R1
    GgufPreTokenizer{"hunyuan-dense", kDeepSeekV3},
    GgufPreTokenizer{"gpt-4o", kGpt4o},  // gpt-oss
    GgufPreTokenizer{"llama4", kGpt4o},
    GgufPreTokenizer{"minimax-m2", kGpt4o},
    GgufPreTokenizer{"tekken", kTekken, Extra::llama3},
    GgufPreTokenizer{"bailingmoe", kBailing},
    GgufPreTokenizer{"bailingmoe2", kBailing},
    GgufPreTokenizer{"llada-moe", kBailing},
    GgufPreTokenizer{"falcon", kFalcon},
    GgufPreTokenizer{"starcoder", kGpt2OneDigit},
    GgufPreTokenizer{"refact", kGpt2OneDigit},
    GgufPreTokenizer{"command-r", kGpt2OneDigit},
    GgufPreTokenizer{"smollm", kGpt2OneDigit},
    GgufPreTokenizer{"codeshell", kGpt2OneDigit},
    GgufPreTokenizer{"exaone", kGpt2OneDigit},
    GgufPreTokenizer{"minerva-7b", kGpt2OneDigit},
};

}  // namespace

std::span<const GgufPreTokenizer> gguf_pre_tokenizers() { return kKnown; }

const GgufPreTokenizer& find_gguf_pre_tokenizer(const std::string& name, const std::string& where) {
  const std::string_view wanted = name.empty() ? std::string_view("default") : name;
  for (const GgufPreTokenizer& known : kKnown) {
    if (known.name == wanted) return known;
  }
  std::string names;
  for (const GgufPreTokenizer& known : kKnown) {
    if (!names.empty()) names += ", ";
    names += known.name;
  }
  throw Error({.what = "the pre-tokenizer " + shown(name) + " is not known",
               .where = where + ": tokenizer.ggml.pre",
               .expected = "one of " + names,
               .fix = "use the model in the Hugging Face layout, with its tokenizer.json"});
}

}  // namespace switchyard::tokenizer
