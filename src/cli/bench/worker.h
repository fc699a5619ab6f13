// The process that measures one job of the bench: alone, so that its memory is its own.
#pragma once

#include "cli/command.h"

namespace switchyard::cli::bench {

// The first of the arguments is "--worker". Prints the Result as JSON.
int run_worker(const Arguments& arguments, Console& console);

}  // namespace switchyard::cli::bench
