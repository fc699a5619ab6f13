// What a command may touch of the world: streams, files, a stop. Passed as an argument, so that
// tests run commands without a terminal.
#pragma once

#include <iosfwd>
#include <stop_token>

#include "switchyard/file_system.h"

namespace switchyard::cli {

struct Console {
  std::istream& in;
  std::ostream& out;  // results
  std::ostream& err;  // progress and remarks
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  std::stop_token stop;  // Ctrl-C
  FileSystem& files;
};

}  // namespace switchyard::cli
