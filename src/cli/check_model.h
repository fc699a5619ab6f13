// switchyard inspect --check: whether a model's files hold a whole model of finite numbers.
#pragma once

#include <string>

#include "cli/console.h"

namespace switchyard::cli {

// Reads every weight once and prints one line. Throws Error naming the first tensor that is
// missing, misshapen or damaged (formats/finite_check.h). `threads`: 0, one a core.
void check_model(Console& console, const std::string& model, int threads);

}  // namespace switchyard::cli
