#include "cli/parse.h"

#include <algorithm>
#include <array>
#include <ostream>

namespace switchyard::cli {
namespace {

// Options of several letters that llama.cpp's users write with one dash. CLI11 would take "-pg" for
// "-p g", so they are options with two dashes here and written so before parsing.
constexpr std::array<std::string_view, 4> kOneDash = {"-pg", "-np", "-ctk", "-ctv"};

Arguments with_two_dashes(const CLI::App& app, Arguments arguments) {
  for (std::string& argument : arguments) {
    const std::string name = argument.substr(0, argument.find('='));
    if (std::ranges::find(kOneDash, name) == kOneDash.end()) continue;
    if (app.get_option_no_throw("-" + name) != nullptr) argument.insert(0, "-");
  }
  return arguments;
}

}  // namespace

std::unique_ptr<CLI::App> make_app(const std::string& name, const std::string& what,
                                   const std::string& example) {
  auto app = std::make_unique<CLI::App>(what, "switchyard " + name);
  app->footer("\nexample:\n  " + example);
  app->get_formatter()->column_width(34);
  return app;
}

bool parse(CLI::App& app, const Arguments& arguments, Console& console) {
  Arguments reversed = with_two_dashes(app, arguments);
  std::ranges::reverse(reversed);  // the order CLI11 takes a vector in
  try {
    app.parse(reversed);
    return true;
  } catch (const CLI::CallForHelp&) {
    console.out << app.help();
    return false;
  }
}

}  // namespace switchyard::cli
