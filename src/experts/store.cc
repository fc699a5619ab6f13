#include <algorithm>
#include <fmt/core.h>

#include "switchyard/error.h"
#include "switchyard/experts.h"

#include "base/check.h"
#include "base/checked_math.h"
#include "experts/slot_layout.h"

namespace switchyard::experts {

std::uint64_t Slab::bytes() const {
  std::uint64_t sum = 0;
  for (const Extent& extent : extents) sum += extent.bytes;
  return sum;
}

Store::Store(std::vector<std::shared_ptr<ReadableFile>> files, std::vector<std::vector<Slab>> slabs)
    : files_(std::move(files)), slabs_(std::move(slabs)) {
  for (std::size_t layer = 0; layer < slabs_.size(); ++layer) {
    for (std::size_t expert = 0; expert < slabs_[layer].size(); ++expert) {
      std::uint64_t slab_bytes = 0;
      for (const Extent& extent : slabs_[layer][expert].extents) {
        SWITCHYARD_CHECK(extent.file < files_.size());
        const ReadableFile& file = *files_[extent.file];
        const std::string where =
            fmt::format("{}: layer {}, expert {}", file.path(), layer, expert);
        const auto end = checked_add(extent.offset, extent.bytes);
        if (!end || *end > file.size()) {
          throw Error({.what = fmt::format("an expert's {} bytes at offset {} reach past the end",
                                           extent.bytes, extent.offset),
                       .where = where,
                       .expected = fmt::format("at most {} bytes in the file", file.size()),
                       .fix = "download or convert the model again"});
        }
        if (extent.bytes == 0) {
          throw Error({.what = "an expert has a part of no bytes",
                       .where = where,
                       .expected = "weights",
                       .fix = "download or convert the model again"});
        }
        // Cannot wrap: a file's extents are within its size, and a slab has few of them.
        slab_bytes += extent.bytes;
      }
      SWITCHYARD_CHECK(slab_bytes > 0);
      if (const auto& arrangement = slabs_[layer][expert].arrangement) {
        const auto pages = checked_round_up(arrangement->bytes, page_bytes());
        SWITCHYARD_CHECK(pages.has_value());
        largest_arrangement_ = std::max(largest_arrangement_, *pages);
      }
      total_bytes_ += slab_bytes;
      largest_slab_ = std::max(largest_slab_, slab_bytes);
    }
  }
}

const Slab& Store::slab(SlabId id) const {
  SWITCHYARD_CHECK(id.layer < slabs_.size() && id.expert < slabs_[id.layer].size());
  return slabs_[id.layer][id.expert];
}

}  // namespace switchyard::experts
