#include "base/free_space.h"

#include "switchyard/error.h"

#include "base/byte_size.h"

namespace switchyard {

void require_space(FileSystem& fs, const std::string& path, std::uint64_t bytes) {
  const auto* disk = dynamic_cast<const FreeSpace*>(&fs);
  if (disk == nullptr) return;
  const auto slash = path.find_last_of('/');
  const std::string directory = slash == std::string::npos ? "."
                                : slash == 0               ? "/"
                                                           : path.substr(0, slash);
  const std::uint64_t free = disk->free_bytes(directory);
  if (bytes <= free) return;
  throw Error({.what = "the disk has " + format_bytes(free) + " left",
               .where = path,
               .expected = format_bytes(bytes),
               .fix = "free some space, or write to another disk"});
}

}  // namespace switchyard
