// The flags of commands that draw tokens.
#pragma once

#include <CLI/CLI.hpp>

#include "switchyard/sampling.h"

namespace switchyard::cli {

void add_sampling_flags(CLI::App& app, SamplingOptions& options);

}  // namespace switchyard::cli
