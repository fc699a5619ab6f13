// Runs the command line inside the test, with its streams in strings.
#pragma once

#include <sstream>
#include <string>

#include "cli/command.h"

namespace switchyard::e2e {

struct Outcome {
  int code = 0;
  std::string out;
  std::string err;
};

inline Outcome run(const cli::Arguments& arguments, const std::string& input = {}) {
  std::istringstream in(input);
  std::ostringstream out;
  std::ostringstream err;
  cli::Console console{.in = in,
                       .out = out,
                       .err = err,
                       .out_is_terminal = false,
                       .err_is_terminal = false,
                       .stop = {},
                       .files = real_file_system()};
  const int code = cli::run_command_line(arguments, console);
  return {code, out.str(), err.str()};
}

}  // namespace switchyard::e2e
