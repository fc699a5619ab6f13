// Regular expressions from tokenizer files, run by PCRE2 with Unicode classes.
//
// The files are written for Oniguruma. What means something else in PCRE2 is rewritten (\s, \w, \h)
// or refused (classes inside classes, "&&", "{n,m}+"), never run with another meaning. A pattern
// that backtracks without end is stopped by a limit in proportion to the text and becomes an Error.
//
// Thread rule: const after construction; concurrent calls are fine.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace switchyard::tokenizer {

class Regex {
 public:
  // `where` names the file and field in errors.
  Regex(std::string_view pattern, std::string where);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

  // A pattern that matches exactly `text`.
  static Regex literal(std::string_view text, std::string where);

  // Calls found(begin, end) for every match, leftmost first, none overlapping the one before. An
  // empty match right behind another match does not count. REQUIRES: `text` is well-formed UTF-8.
  void for_each_match(std::string_view text,
                      const std::function<void(std::size_t begin, std::size_t end)>& found) const;

 private:
  struct Code;
  std::unique_ptr<const Code> code_;
};

// The pattern in PCRE2's language; Error where that cannot be said.
std::string translate_oniguruma(std::string_view pattern, const std::string& where);

}  // namespace switchyard::tokenizer
