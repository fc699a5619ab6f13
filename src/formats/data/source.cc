#include "formats/data/source.h"

#include <array>
#include <cstdlib>
#include <optional>

#include "switchyard/error.h"

#include "formats/data/decompress.h"

namespace switchyard::data {
namespace {

constexpr std::array kSuffixes = {"", ".xz", ".gz"};

std::optional<std::string> existing(FileSystem& fs, const std::string& path) {
  for (const char* suffix : kSuffixes) {
    if (fs.exists(path + suffix) && !fs.is_directory(path + suffix)) return path + suffix;
  }
  return std::nullopt;
}

}  // namespace

std::string find_data(FileSystem& fs, const std::string& name, const std::string& root) {
  if (const auto path = existing(fs, name)) return *path;
  std::string tried = name;
  if (!root.empty() && !name.starts_with('/')) {
    const std::string below = root + (root.ends_with('/') ? "" : "/") + name;
    if (const auto path = existing(fs, below)) return *path;
    tried += ", " + below;
  }
  throw Error({.what = "data not found",
               .where = tried,
               .expected = "a file, plain or ending in .xz or .gz",
               .fix = root.empty() ? std::string("give its path, or set ") + kRootVariable +
                                         " to the directory of the data sets"
                                   : std::string("give its path, or correct ") + kRootVariable +
                                         "=" + root});
}

std::string find_data(FileSystem& fs, const std::string& name) {
  const char* root = std::getenv(kRootVariable);
  return find_data(fs, name, root == nullptr ? "" : root);
}

std::string read_bytes(FileSystem& fs, const std::string& path, std::uint64_t limit) {
  const auto found = existing(fs, path);
  if (!found) {
    throw Error({.what = "no such file",
                 .where = path,
                 .expected = "a file, plain or ending in .xz or .gz",
                 .fix = "correct the path"});
  }
  if (found->ends_with(".xz")) return decompress(*fs.open(*found), Compression::xz, limit);
  if (found->ends_with(".gz")) return decompress(*fs.open(*found), Compression::gzip, limit);
  return read_file(fs, *found, limit);
}

}  // namespace switchyard::data
