#include "experts/read_progress.h"

#include <cstring>
#include <fmt/core.h>

namespace switchyard::experts {

void ReadProgress::advance(int result) {
  if (result < 0) {
    failure_ = fmt::format("reading {} bytes at offset {} failed: {}", bytes(), offset(),
                           std::strerror(-result));
    return;
  }
  std::uint64_t reached = got_ + static_cast<std::uint64_t>(result);
  if (reached < read_.needed && read_.file->direct()) {
    // The rest must start at a multiple again; the end of the file is the only place where a direct
    // read stops between two of them.
    reached -= reached % read_.file->alignment();
  }
  if (reached < read_.needed && reached == got_) {
    failure_ = fmt::format("the file ends before byte {}, where reading {} bytes at offset {} ends",
                           read_.offset + read_.needed, read_.needed, read_.offset);
    return;
  }
  got_ = reached;
}

}  // namespace switchyard::experts
