#include "cli/training/flags.h"

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

namespace switchyard::cli {

bool parse_flags(CLI::App& app, std::vector<std::string> arguments) {
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
  try {
    app.parse(arguments);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return false;
  }
  return true;
}

std::string toml_string(const std::string& text) { return nlohmann::json(text).dump(); }

}  // namespace switchyard::cli
