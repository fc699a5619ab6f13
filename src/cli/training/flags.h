// Parsing with CLI11.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace switchyard::cli {

// True if the command should go on; false if --help was asked for and printed. Throws
// CLI::ParseError.
bool parse_flags(CLI::App& app, std::vector<std::string> arguments);

// As a TOML string.
std::string toml_string(const std::string& text);

}  // namespace switchyard::cli
