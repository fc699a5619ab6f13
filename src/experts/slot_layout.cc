#include "experts/slot_layout.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <tuple>
#include <unistd.h>

#include "base/check.h"
#include "base/checked_math.h"

namespace switchyard::experts {
namespace {

std::uint64_t round_up(std::uint64_t value, std::uint64_t alignment) {
  const auto result = checked_round_up(value, alignment);
  SWITCHYARD_CHECK(result.has_value());  // extents lie within files, and no file comes near 2^64
  return *result;
}

std::uint64_t round_down(std::uint64_t value, std::uint64_t alignment) {
  return value & ~(alignment - 1);
}

// What reads of this file must be multiples of.
std::uint64_t read_alignment(const ReadableFile& file) {
  const std::uint64_t alignment = file.direct() ? file.alignment() : 1;
  SWITCHYARD_CHECK(std::has_single_bit(alignment));
  return alignment;
}

}  // namespace

std::uint64_t page_bytes() {
  static const auto bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

SlotLayout slot_layout(const Store& store, const Slab& slab) {
  SlotLayout layout;
  layout.parts.resize(slab.extents.size());

  std::vector<std::size_t> order(slab.extents.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const Extent& x = slab.extents[a];
    const Extent& y = slab.extents[b];
    return std::tie(x.file, x.offset, a) < std::tie(y.file, y.offset, b);
  });

  for (const std::size_t index : order) {
    const Extent& extent = slab.extents[index];
    const std::uint64_t alignment = read_alignment(store.file(extent.file));
    const std::uint64_t begin = round_down(extent.offset, alignment);
    const std::uint64_t end = extent.offset + extent.bytes;

    ReadRun* run = layout.runs.empty() ? nullptr : &layout.runs.back();
    if (run == nullptr || run->file != extent.file || begin > run->offset + run->bytes) {
      // The start of the run keeps its offset modulo the larger of both alignments.
      const std::uint64_t step = std::max(alignment, kPartAlignment);
      layout.bytes = round_up(layout.bytes, step);
      layout.runs.push_back(
          {.file = extent.file, .offset = begin, .slot_offset = layout.bytes + begin % step});
      run = &layout.runs.back();
    }
    run->needed = std::max(run->needed, end - run->offset);
    run->bytes = round_up(run->offset + run->needed, alignment) - run->offset;
    layout.parts[index] = {.slot_offset = run->slot_offset + (extent.offset - run->offset),
                           .bytes = extent.bytes};
    layout.bytes = run->slot_offset + run->bytes;
  }
  if (slab.arrangement) layout.bytes = std::max(layout.bytes, slab.arrangement->bytes);
  layout.bytes = round_up(layout.bytes, page_bytes());
  return layout;
}

}  // namespace switchyard::experts
