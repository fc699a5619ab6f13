// The parts below the cache: store, slot layout, slot memory.
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

#include "switchyard/experts.h"

#include "base/check.h"
#include "experts/slot_layout.h"
#include "experts/slot_memory.h"
#include "support/errors.h"

namespace switchyard::experts {
namespace {

using switchyard::testing_support::error_of;

// A file that is nothing but its size and alignment.
class FileShape final : public ReadableFile {
 public:
  FileShape(std::uint64_t bytes, std::size_t alignment) : bytes_(bytes), alignment_(alignment) {}
  std::uint64_t size() const override { return bytes_; }
  void read(std::uint64_t, std::span<std::byte>) const override {}
  const std::string& path() const override { return path_; }
  bool direct() const override { return alignment_ > 1; }
  std::size_t alignment() const override { return alignment_; }

 private:
  std::string path_ = "shape.bin";
  std::uint64_t bytes_;
  std::size_t alignment_;
};

Store store_of(std::vector<std::shared_ptr<ReadableFile>> files, std::vector<Extent> extents) {
  std::vector<std::vector<Slab>> slabs(1);
  slabs[0].push_back({.extents = std::move(extents)});
  return Store(std::move(files), std::move(slabs));
}

Store store_of(std::uint64_t file_bytes, std::size_t alignment, std::vector<Extent> extents) {
  return store_of({std::make_shared<FileShape>(file_bytes, alignment)}, std::move(extents));
}

TEST(Store, RefusesExtentsOutsideTheirFile) {
  const auto error = error_of([] { store_of(100, 1, {{0, 50, 51}}); });
  EXPECT_EQ(error.what, "an expert's 51 bytes at offset 50 reach past the end");
  EXPECT_EQ(error.where, "shape.bin: layer 0, expert 0");
  EXPECT_EQ(error.expected, "at most 100 bytes in the file");
  error_of([] { store_of(100, 1, {{0, 1, ~std::uint64_t{0}}}); });  // wraps
  error_of([] { store_of(100, 1, {{0, 1, 0}}); });
  EXPECT_THROW(store_of(100, 1, {{1, 0, 1}}), InternalError);
  EXPECT_THROW(store_of(100, 1, {}), InternalError);
}

TEST(Store, AddsUpBytes) {
  const Store store = store_of(100, 1, {{0, 0, 10}, {0, 50, 50}});
  EXPECT_EQ(store.total_bytes(), 60u);
  EXPECT_EQ(store.largest_slab(), 60u);
  EXPECT_THROW(store.slab({0, 1}), InternalError);
  EXPECT_THROW(store.slab({1, 0}), InternalError);
}

TEST(SlotLayout, APackedSlabIsOneRun) {
  const Store store = store_of(1 << 20, 4096, {{0, 8192, 10'000}});
  const SlotLayout layout = slot_layout(store, store.slab({0, 0}));
  ASSERT_EQ(layout.runs.size(), 1u);
  EXPECT_EQ(layout.runs[0].offset, 8192u);
  EXPECT_EQ(layout.runs[0].bytes, 12'288u);
  EXPECT_EQ(layout.runs[0].needed, 10'000u);
  EXPECT_EQ(layout.parts[0].slot_offset, 0u);
  EXPECT_EQ(layout.bytes, 12'288u);
}

TEST(SlotLayout, ADirectReadCoversAnExtentThatIsNotAligned) {
  const Store store = store_of(10'000, 4096, {{0, 5000, 5000}});
  const SlotLayout layout = slot_layout(store, store.slab({0, 0}));
  ASSERT_EQ(layout.runs.size(), 1u);
  EXPECT_EQ(layout.runs[0].offset, 4096u);
  EXPECT_EQ(layout.runs[0].bytes, 8192u);   // past the end of the file
  EXPECT_EQ(layout.runs[0].needed, 5904u);  // which is at 10000
  EXPECT_EQ(layout.parts[0].slot_offset, 904u);
}

TEST(SlotLayout, NeighboursAreReadAsOneRunInTheOrderOfTheFile) {
  const Store store =
      store_of(1 << 20, 4096, {{0, 9000, 1000}, {0, 5000, 4000}, {0, 100'000, 500}});
  const SlotLayout layout = slot_layout(store, store.slab({0, 0}));
  ASSERT_EQ(layout.runs.size(), 2u);
  EXPECT_EQ(layout.runs[0].offset, 4096u);
  EXPECT_EQ(layout.runs[0].bytes, 8192u);
  EXPECT_EQ(layout.parts[0].slot_offset, 9000u - 4096);
  EXPECT_EQ(layout.parts[1].slot_offset, 5000u - 4096);
  EXPECT_EQ(layout.runs[1].slot_offset, 8192u);
}

// Every part lies inside its run, runs do not overlap, alignment holds: whatever the extents.
TEST(SlotLayout, HoldsForRandomExtents) {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::shared_ptr<ReadableFile>> files;
    const std::size_t alignments[] = {1, 512, 4096};
    for (int i = 0; i < 3; ++i) {
      files.push_back(std::make_shared<FileShape>(200'000, alignments[random() % 3]));
    }
    std::vector<Extent> extents(1 + random() % 5);
    for (Extent& extent : extents) {
      extent = {static_cast<std::uint32_t>(random() % 3), random() % 100'000,
                1 + random() % 50'000};
    }
    const Store store = store_of(files, extents);
    const SlotLayout layout = slot_layout(store, store.slab({0, 0}));
    EXPECT_EQ(layout.bytes % page_bytes(), 0u);
    std::uint64_t free_from = 0;
    for (const ReadRun& run : layout.runs) {
      const std::size_t alignment = files[run.file]->alignment();
      EXPECT_GE(run.slot_offset, free_from);
      EXPECT_EQ(run.slot_offset % alignment, 0u);
      EXPECT_EQ(run.offset % alignment, 0u);
      EXPECT_EQ(run.bytes % alignment, 0u);
      EXPECT_LE(run.needed, run.bytes);
      EXPECT_LT(run.bytes - run.needed, alignment);
      EXPECT_LE(run.offset + run.needed, files[run.file]->size());
      free_from = run.slot_offset + run.bytes;
    }
    EXPECT_LE(free_from, layout.bytes);
    ASSERT_EQ(layout.parts.size(), extents.size());
    for (std::size_t i = 0; i < extents.size(); ++i) {
      EXPECT_EQ(layout.parts[i].bytes, extents[i].bytes);
      EXPECT_EQ(layout.parts[i].slot_offset % kPartAlignment, extents[i].offset % kPartAlignment);
      const bool inside =
          std::any_of(layout.runs.begin(), layout.runs.end(), [&](const ReadRun& run) {
            return run.file == extents[i].file && extents[i].offset >= run.offset &&
                   extents[i].offset + extents[i].bytes <= run.offset + run.needed &&
                   layout.parts[i].slot_offset - run.slot_offset == extents[i].offset - run.offset;
          });
      EXPECT_TRUE(inside);
    }
  }
}

TEST(SlotMemory, KeepsFreedSlotsForTheNextOfTheirSize) {
  SlotMemory memory(1 << 20);
  SlotBuffer first = memory.take(65'536);
  std::memset(first.data(), 1, first.bytes());
  const std::byte* address = first.data();
  memory.give_back(std::move(first));
  EXPECT_EQ(memory.used(), 0u);
  EXPECT_EQ(memory.held(), 65'536u);
  EXPECT_EQ(memory.take(65'536).data(), address);
}

TEST(SlotMemory, LargeSlotsStartAtAHugePageAndAreUsableToTheEnd) {
  constexpr std::uint64_t kHuge = std::uint64_t{2} << 20;
  for (const std::uint64_t bytes : {kHuge, kHuge + 4096, 3 * kHuge - 4096}) {
    const SlotBuffer buffer(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % kHuge, 0U);
    EXPECT_EQ(buffer.bytes(), bytes);
    buffer.data()[0] = std::byte{1};
    buffer.data()[bytes - 1] = std::byte{2};
  }
}

TEST(SlotMemory, NeverHoldsMoreThanTheBudgetWhateverTheSizes) {
  std::mt19937 random(5);
  constexpr std::uint64_t kBudget = 64 * 4096;
  SlotMemory memory(kBudget);
  std::vector<SlotBuffer> taken;
  for (int step = 0; step < 20'000; ++step) {
    const std::uint64_t bytes = (1 + random() % 20) * 4096;
    if (random() % 2 == 0 && memory.fits(bytes)) {
      taken.push_back(memory.take(bytes));
      EXPECT_EQ(taken.back().bytes(), bytes);
      taken.back().data()[0] = std::byte{1};
      taken.back().data()[bytes - 1] = std::byte{1};
    } else if (!taken.empty()) {
      std::swap(taken[random() % taken.size()], taken.back());
      memory.give_back(std::move(taken.back()));
      taken.pop_back();
    }
    std::uint64_t used = 0;
    for (const SlotBuffer& buffer : taken) used += buffer.bytes();
    ASSERT_EQ(memory.used(), used);
    ASSERT_LE(memory.held(), kBudget);
    ASSERT_EQ(memory.fits(4096), used + 4096 <= kBudget);
  }
  EXPECT_LE(memory.peak(), kBudget);
}

TEST(SlotMemory, ASystemWithoutMemoryIsAnError) {
  SlotMemory memory(~std::uint64_t{0});
  const auto error = error_of([&] { memory.take(std::uint64_t{1} << 60); });
  EXPECT_EQ(error.fix, "use a smaller memory budget");
  EXPECT_EQ(memory.held(), 0u);
}

}  // namespace
}  // namespace switchyard::experts
