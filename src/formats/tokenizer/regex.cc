#include "formats/tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <array>
#include <limits>
#include <new>
#include <pcre2.h>
#include <utility>

#include "switchyard/error.h"

#include "formats/json.h"
#include "formats/utf8.h"

namespace switchyard::tokenizer {
namespace {

constexpr std::size_t kMaxPatternBytes = std::size_t{64} * 1024;

// Steps a match may take from one starting place: a fixed allowance, and room for going back once
// over a run that is as long as the text ("\s+(?!\S)" on a text of spaces).
std::uint32_t match_limit(std::size_t text_bytes) {
  constexpr std::size_t kAllowance = 1'000'000;
  constexpr std::size_t kPerByte = 8;
  constexpr std::size_t kMost = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(
      text_bytes > (kMost - kAllowance) / kPerByte ? kMost : kAllowance + kPerByte * text_bytes);
}

constexpr std::uint32_t kHeapLimitKib = 64 * 1024;

struct Free {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
  void operator()(pcre2_compile_context* p) const { pcre2_compile_context_free(p); }
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

std::string message_of(int code) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

PCRE2_SPTR units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

}  // namespace

struct Regex::Code {
  Owned<pcre2_code> compiled;
  std::string pattern;  // as in the file, for errors
  std::string where;

  // True if a match was found at or after `start`.
  bool match(std::string_view text, std::size_t start, pcre2_match_data* data,
             pcre2_match_context* context) const {
    const auto run = [&](std::uint32_t options) {
      return pcre2_match(compiled.get(), units(text), text.size(), start,
                         options | PCRE2_NO_UTF_CHECK, data, context);
    };
    int rc = run(0);
    // Compiled code has a small fixed stack; the interpreter uses the heap, up to its limit.
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) rc = run(PCRE2_NO_JIT);
    if (rc >= 0) return true;
    if (rc == PCRE2_ERROR_NOMATCH) return false;
    if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT ||
        rc == PCRE2_ERROR_HEAPLIMIT) {
      throw Error({.what = "the regular expression " + pattern + " takes too long on this text",
                   .where = where,
                   .expected = "a pattern that does not backtrack without end",
                   .fix = "use a tokenizer file from a source you trust"});
    }
    throw Error({.what = "the regular expression " + pattern + " failed: " + message_of(rc),
                 .where = where});
  }
};

Regex::Regex(std::string_view pattern, std::string where) {
  auto code = std::make_unique<Code>();
  code->pattern = shown(pattern);
  code->where = std::move(where);
  const std::string translated = translate_oniguruma(pattern, code->where);

  const Owned<pcre2_compile_context> context(pcre2_compile_context_create(nullptr));
  if (!context) throw std::bad_alloc();
  pcre2_set_max_pattern_length(context.get(), kMaxPatternBytes);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE error_offset = 0;
  // In Oniguruma's default syntax ^ and $ always look at lines.
  constexpr std::uint32_t kOptions =
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  code->compiled.reset(pcre2_compile(units(translated), translated.size(), kOptions, &error,
                                     &error_offset, context.get()));
  if (!code->compiled) {
    throw Error({.what = "the regular expression " + code->pattern + " is not valid: " +
                         message_of(error) + " at byte " + std::to_string(error_offset),
                 .where = code->where,
                 .expected = "a pattern as Hugging Face tokenizers write them"});
  }
  // Where the system forbids compiled code the interpreter does the same work.
  pcre2_jit_compile(code->compiled.get(), PCRE2_JIT_COMPLETE);
  code_ = std::move(code);
}

Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

Regex Regex::literal(std::string_view text, std::string where) {
  std::string pattern;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                       (c >= 'A' && c <= 'Z') || byte <= ' ';
    if (!plain) pattern += '\\';
    pattern += c;
  }
  return {pattern, std::move(where)};
}

void Regex::for_each_match(
    std::string_view text,
    const std::function<void(std::size_t begin, std::size_t end)>& found) const {
  const Owned<pcre2_match_data> data(
      pcre2_match_data_create_from_pattern(code_->compiled.get(), nullptr));
  const Owned<pcre2_match_context> context(pcre2_match_context_create(nullptr));
  if (!data || !context) throw std::bad_alloc();
  pcre2_set_match_limit(context.get(), match_limit(text.size()));
  pcre2_set_depth_limit(context.get(), match_limit(text.size()));
  pcre2_set_heap_limit(context.get(), kHeapLimitKib);

  std::size_t start = 0;
  std::size_t last_end = std::string_view::npos;
  while (start <= text.size() && code_->match(text, start, data.get(), context.get())) {
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.get());
    const std::size_t begin = range[0];
    const std::size_t end = range[1];
    // \K in a look-around can put the beginning behind the end.
    if (begin > end || begin < start) {
      throw Error({.what = "the regular expression " + code_->pattern + " matches backwards",
                   .where = code_->where});
    }
    if (begin != end || begin != last_end) found(begin, end);
    last_end = end;
    start = end;
    if (begin == end) start = end < text.size() ? end + utf8_length(text[end]) : end + 1;
  }
}

}  // namespace switchyard::tokenizer
