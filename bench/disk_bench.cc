// Direct reads of experts against the disk's sequential rate.
//
//   disk_bench [--dir DIR] [--size 1GiB] [--rounds 3] [--slots 32] [--format text|md|csv|json]
//
// Writes a temporary file in DIR, then reads it as stores of slabs of 64 KiB to 8 MiB: every expert
// once, in random order, through a cache with room for a few. Every slab's checksum is verified in
// the timed run. The sequential rate is measured right before and after every such run; the ratio
// is to the mean of the two. Medians over rounds are printed, since other programs change both.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "switchyard/error.h"
#include "switchyard/experts.h"

#include "base/byte_size.h"
#include "base/check.h"
#include "base/table.h"
#include "experts/checksum.h"
#include "experts/disk_limits.h"

namespace switchyard::experts {
namespace {

constexpr std::uint64_t kSlabSizes[] = {64 << 10, 256 << 10, 1 << 20, 2 << 20, 4 << 20, 8 << 20};

std::shared_ptr<const Store> make_store(const std::string& path, std::uint64_t slab_bytes) {
  FileSystem& fs = real_file_system();
  const auto buffered = fs.open(path);
  std::vector<std::vector<Slab>> slabs(1);
  std::vector<std::byte> bytes(slab_bytes);
  for (std::uint64_t offset = 0; offset + slab_bytes <= buffered->size(); offset += slab_bytes) {
    buffered->read(offset, bytes);
    slabs[0].push_back({.extents = {{.file = 0, .offset = offset, .bytes = slab_bytes}},
                        .checksum = checksum_of(bytes)});
  }
  return std::make_shared<Store>(
      std::vector<std::shared_ptr<ReadableFile>>{fs.open(path, ReadMode::direct)},
      std::move(slabs));
}

// 10^9 bytes a second over random experts, handed out as they come.
double random_reads(const std::shared_ptr<const Store>& store, IoBackend backend, std::size_t slots,
                    std::uint64_t bytes, unsigned seed) {
  const std::uint64_t budget = slots * store->largest_slab();
  Cache cache(store, {.budget = budget, .prefetch = false, .io = backend});
  std::vector<std::uint32_t> order(store->experts(0));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::uint32_t>(i);
  std::shuffle(order.begin(), order.end(), std::mt19937(seed));

  std::size_t handed_out = 0;
  const auto count = [&](auto positions, auto) { handed_out += positions.size(); };
  // The slots are allocated before the clock starts.
  cache.acquire_each(0, std::span(order).first(slots), count);
  cache.reset_stats();
  handed_out = 0;
  const auto rest = std::span(order).subspan(slots);
  const std::size_t wanted = std::min(rest.size(), bytes / store->largest_slab());
  const auto start = std::chrono::steady_clock::now();
  cache.acquire_each(0, rest.first(wanted), count);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const CacheStats stats = cache.stats();
  SWITCHYARD_CHECK(handed_out == wanted && stats.misses == wanted);
  SWITCHYARD_CHECK(stats.peak_bytes <= budget);
  return static_cast<double>(stats.bytes_read) / seconds.count() / 1e9;
}

// Nanoseconds per expert when everything is resident.
double hit_nanoseconds(const std::shared_ptr<const Store>& store) {
  Cache cache(store, {.budget = Cache::full_bytes(*store, {})});
  std::vector<std::uint32_t> experts(8);
  for (std::uint32_t i = 0; i < 8; ++i) experts[i] = i;
  cache.acquire(0, experts);
  constexpr int kCalls = 100'000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kCalls; ++i) cache.acquire(0, experts);
  const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
  return time.count() / kCalls / static_cast<double>(experts.size());
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

struct Samples {
  std::vector<double> gbps;
  std::vector<double> ratio;
};

int run(int argc, char** argv) {
  CLI::App app("Direct reads of experts against the disk's sequential rate");
  std::string directory = ".";
  std::string size = "1GiB";
  std::string format = "text";
  int rounds = 3;
  std::size_t slots = 32;
  app.add_option("--dir", directory, "where the temporary file goes");
  app.add_option("--size", size, "of the temporary file");
  app.add_option("--rounds", rounds, "repetitions; the medians are printed")
      ->check(CLI::Range(1, 99));
  app.add_option("--slots", slots, "experts the cache has room for")->check(CLI::Range(1, 1024));
  app.add_option("--format", format, "text, md, csv or json");
  CLI11_PARSE(app, argc, argv);
  const std::uint64_t bytes = parse_bytes(size, "--size");
  const TableFormat table_format = parse_table_format(format, "--format");

  const TemporaryFile file(directory, bytes);
  const auto direct = real_file_system().open(file.path(), ReadMode::direct);
  if (!direct->direct()) std::fprintf(stderr, "note: %s has no direct reads\n", directory.c_str());
  std::map<std::uint64_t, std::shared_ptr<const Store>> stores;
  for (const std::uint64_t slab_bytes : kSlabSizes) {
    if (slab_bytes * slots * 2 <= bytes) stores[slab_bytes] = make_store(file.path(), slab_bytes);
  }
  SWITCHYARD_CHECK(!stores.empty());

  constexpr IoBackend kBackends[] = {IoBackend::automatic, IoBackend::pread};
  const std::uint64_t pass = bytes / 4;
  std::vector<double> sequential;
  std::map<std::pair<std::uint64_t, IoBackend>, Samples> samples;
  for (int round = 0; round < rounds; ++round) {
    for (const auto& [slab_bytes, store] : stores) {
      double before = measure_sequential_reads(direct, pass).gbps;
      for (const IoBackend backend : kBackends) {
        const double rate = random_reads(store, backend, slots, pass, static_cast<unsigned>(round));
        const double after = measure_sequential_reads(direct, pass).gbps;
        const double limit = (before + after) / 2;
        before = after;
        sequential.push_back(limit);
        Samples& one = samples[{slab_bytes, backend}];
        one.gbps.push_back(rate);
        one.ratio.push_back(rate / limit);
      }
    }
  }

  const std::string automatic(Cache(stores.begin()->second, {.budget = bytes}).io_backend_name());
  Table table{{"slab", "slab_bytes"},
              {"reads", "io_backend"},
              {"GB/s", "gbps"},
              {"of sequential", "ratio"}};
  for (const auto& [key, one] : samples) {
    table.add_row({Cell::bytes(key.first),
                   key.second == IoBackend::automatic ? automatic : std::string("pread"),
                   Cell::number(median(one.gbps), 2), Cell::number(median(one.ratio), 2)});
  }
  std::fputs(table.render(table_format).c_str(), stdout);
  if (table_format == TableFormat::text || table_format == TableFormat::markdown) {
    std::printf("\nsequential direct reads: %.2f GB/s (median); room for %zu experts\n",
                median(sequential), slots);
    std::printf("a resident expert costs %.0f ns\n", hit_nanoseconds(stores.begin()->second));
  }
  return 0;
}

}  // namespace
}  // namespace switchyard::experts

int main(int argc, char** argv) {
  try {
    return switchyard::experts::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "disk_bench: %s\n", error.what());
    return 1;
  }
}
