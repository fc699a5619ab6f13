// Parsing with CLI11, the same way in every command: --help prints the description, the flags and
// an example.
#pragma once

#include <CLI/CLI.hpp>

#include "cli/command.h"

namespace switchyard::cli {

// True if the arguments were parsed and the command should go on; false if help was printed. "-pg",
// "-np", "-ctk" and "-ctv" stand for the options "--pg" and so on. Throws CLI::ParseError.
bool parse(CLI::App& app, const Arguments& arguments, Console& console);

// An app named "switchyard NAME" with an example at the end of its help.
std::unique_ptr<CLI::App> make_app(const std::string& name, const std::string& what,
                                   const std::string& example);

}  // namespace switchyard::cli
