// Runs a program and collects what it prints.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "cli/command.h"

namespace switchyard::cli {

struct ChildResult {
  int exit_code = 0;
  std::string out;
  std::string err;
  std::uint64_t peak_resident = 0;  // bytes, as the kernel saw it at the end
};

// `join_file`: written by the child before it starts, to enter a control group; empty: none.
// `stop`: sends SIGTERM to the child, which is then waited for. Throws Error if the process cannot
// be started.
ChildResult run_program(const std::string& program, const Arguments& arguments,
                        const std::string& join_file = {}, std::stop_token stop = {});

// This binary again, with other arguments.
ChildResult run_self(const Arguments& arguments, const std::string& join_file = {},
                     std::stop_token stop = {});

}  // namespace switchyard::cli
