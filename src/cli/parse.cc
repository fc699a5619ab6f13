#include "cli/parse.h"

#include <algorithm>
#include <ostream>

namespace switchyard::cli {

std::unique_ptr<CLI::App> make_app(const std::string& name, const std::string& what,
                                   const std::string& example) {
  auto app = std::make_unique<CLI::App>(what, "switchyard " + name);
  app->footer("\nexample:\n  " + example);
  app->get_formatter()->column_width(34);
  return app;
}

bool parse(CLI::App& app, const Arguments& arguments, Console& console) {
  Arguments reversed(arguments.rbegin(), arguments.rend());  // the order CLI11 takes a vector in
  try {
    app.parse(reversed);
    return true;
  } catch (const CLI::CallForHelp&) {
    console.out << app.help();
    return false;
  }
}

}  // namespace switchyard::cli
