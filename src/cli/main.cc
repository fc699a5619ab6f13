#include <iostream>
#include <unistd.h>

#include "base/stop_signal.h"
#include "cli/command.h"

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  switchyard::StopSignal interrupt;  // Ctrl-C and SIGTERM ask for a stop instead of killing
  switchyard::cli::Console console{.in = std::cin,
                                   .out = std::cout,
                                   .err = std::cerr,
                                   .out_is_terminal = isatty(STDOUT_FILENO) != 0,
                                   .err_is_terminal = isatty(STDERR_FILENO) != 0,
                                   .stop = interrupt.token(),
                                   .files = switchyard::real_file_system()};
  return switchyard::cli::run_command_line({argv + 1, argv + argc}, console);
}
