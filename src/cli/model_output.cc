#include "cli/model_output.h"

#include "switchyard/error.h"

namespace switchyard::cli {

bool names_gguf(const std::string& path) { return path.ends_with(".gguf"); }

void check_name_is_free(FileSystem& fs, const std::string& path) {
  if (!fs.exists(path)) return;
  throw Error({.what = "the output exists already",
               .where = path,
               .expected = "a name that is free",
               .fix = "remove it or choose another name"});
}

void write_directory_atomically(FileSystem& fs, const std::string& path,
                                const std::function<void(const std::string& directory)>& write) {
  const std::string partial = path + ".partial";
  fs.remove_all(partial);
  fs.create_directories(partial);
  try {
    write(partial);
    fs.sync_directory(partial);
    fs.rename(partial, path);
  } catch (...) {
    fs.remove_all(partial);
    throw;
  }
}

}  // namespace switchyard::cli
