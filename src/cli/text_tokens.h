// A text file as the tokens of a model: what eval measures on and importance calibrates with.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cli/console.h"

namespace switchyard::cli {

struct TextTokens {
  std::string text;                  // the whole file
  std::vector<std::int32_t> tokens;  // of its start, as many as were asked for
  std::size_t all_tokens = 0;        // of the whole file

  // Of the file, what the tokens stand for, by the share of tokens.
  double bytes() const;
  // Words as WikiText counts them: what stands between spaces, and one end of a line each.
  double words() const;

 private:
  double share() const {
    return static_cast<double>(tokens.size()) / static_cast<double>(all_tokens);
  }
};

// The flag that names the file, called differently by different commands, and --max-tokens.
struct TextTokensFlags {
  std::string file;
  std::size_t most_tokens = 0;  // 0: all

  void add_to(CLI::App& app, const std::string& flag);
  // With the tokenizer of `model`. Throws Error naming the file.
  TextTokens read(Console& console, const std::string& model) const;
};

}  // namespace switchyard::cli
