// Token ids for a command: given as numbers, or as a text for the model's tokenizer.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/console.h"

namespace switchyard::cli {

// "1,2,3". Throws Error naming the part that is no number.
std::vector<std::int32_t> parse_token_ids(std::string_view text);

struct TokenFlags {
  std::string tokens;  // "1,2,3"
  std::string text_file;

  void add_to(CLI::App& app);
  // Throws Error. Ids are not checked against a vocabulary here.
  std::vector<std::int32_t> read(Console& console, const std::string& model) const;
};

}  // namespace switchyard::cli
