// Where a command writes a new model: a directory or a GGUF file that appears as a whole or not at
// all.
#pragma once

#include <functional>
#include <string>

#include "switchyard/file_system.h"

namespace switchyard::cli {

// Whether `path` is to be one GGUF file, by its name.
bool names_gguf(const std::string& path);

// Throws Error if something of this name is there already.
void check_name_is_free(FileSystem& fs, const std::string& path);

// `write` fills a directory beside `path`, which then gets its name.
void write_directory_atomically(FileSystem& fs, const std::string& path,
                                const std::function<void(const std::string& directory)>& write);

}  // namespace switchyard::cli
