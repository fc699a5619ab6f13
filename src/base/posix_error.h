// Turns an errno into an Error that says what failed, where, and what the reader can do about it.
#pragma once

#include <string>
#include <string_view>

#include "switchyard/error.h"

namespace switchyard {

// `doing` completes "cannot ...", e.g. "write"; `where` is usually a path.
Error posix_error(int error_number, std::string_view doing, std::string where);

}  // namespace switchyard
