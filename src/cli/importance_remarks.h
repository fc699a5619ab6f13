// What a user should know about measured importance before trusting it.
#pragma once

#include <string>
#include <vector>

#include "formats/gguf/column_importance.h"

namespace switchyard::cli {

// Lines for stderr; none if every matrix was measured well.
std::vector<std::string> importance_remarks(const ColumnImportance& importance);

}  // namespace switchyard::cli
