// The documents of a recipe's text files.
#pragma once

#include <string>
#include <vector>

#include "switchyard/file_system.h"

#include "train/recipe.h"

namespace switchyard::train {

// Documents of all files, in order. A text file is cut at the recipe's separator (none: the file is
// one document), a .jsonl file has one a line under the recipe's text_field; data::find_data() says
// where files are looked for. Throws Error naming file and line, and if there is nothing to read.
std::vector<std::string> read_documents(FileSystem& fs, const std::vector<std::string>& paths,
                                        const DataRecipe& recipe);

}  // namespace switchyard::train
