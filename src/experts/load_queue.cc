#include "experts/load_queue.h"

#include <algorithm>
#include <fmt/core.h>
#include <utility>

#include "base/check.h"
#include "base/checked_math.h"

namespace switchyard::experts::detail {
namespace {

// Reads ahead may use one place of the I/O queue in so many.
constexpr int kAheadPlaces = 4;

void drop_started(std::deque<std::shared_ptr<Load>>& loads) {
  while (!loads.empty() && loads.front()->all_started()) loads.pop_front();
}

// The run in equal pieces of at most `limit` bytes: a short tail would cost a whole read.
std::uint64_t piece_of(const ReadRun& run, std::uint64_t limit, std::uint64_t alignment) {
  const std::uint64_t pieces = (run.bytes - 1) / limit + 1;
  const auto piece = checked_round_up((run.bytes - 1) / pieces + 1, alignment);
  SWITCHYARD_CHECK(piece.has_value());
  return *piece;
}

}  // namespace

void LoadQueue::set_depth(int reads_in_flight) {
  depth_ = reads_in_flight;
  ahead_depth_ = std::max(1, depth_ / kAheadPlaces);
}

void LoadQueue::add(const std::shared_ptr<Load>& load) {
  if (!load->demanded) loading_ahead_bytes_ += load->slot->footprint;
  (load->demanded ? demanded_ : ahead_).push_back(load);
}

void LoadQueue::demand(const std::shared_ptr<Load>& load) {
  if (load->demanded) return;
  load->demanded = true;
  loading_ahead_bytes_ -= load->slot->footprint;
  ahead_in_flight_ -= load->reads_in_flight;
  std::erase(ahead_, load);
  if (!load->all_started()) demanded_.push_back(load);
}

void LoadQueue::start_demanded() {
  for (drop_started(demanded_); !demanded_.empty() && in_flight_ < depth_;
       drop_started(demanded_)) {
    start_piece(*demanded_.front());
  }
}

bool LoadQueue::may_start_ahead() const {
  return demanded_.empty() && in_flight_ < depth_ && ahead_in_flight_ < ahead_depth_;
}

bool LoadQueue::start_ahead() {
  drop_started(ahead_);
  if (ahead_.empty()) return false;
  start_piece(*ahead_.front());
  return true;
}

void LoadQueue::start_piece(Load& load) {
  const ReadRun& run = load.layout.runs[load.run];
  const ReadableFile& file = store_.file(run.file);
  const std::uint64_t alignment = std::max<std::uint64_t>(page_bytes(), file.alignment());
  const std::uint64_t begin = load.done_of_run;
  const std::uint64_t bytes = std::min(piece_of(run, piece_bytes_, alignment), run.bytes - begin);
  batch_.push_back({.file = &file,
                    .offset = run.offset + begin,
                    .into = load.slot->buffer.data() + run.slot_offset + begin,
                    .bytes = bytes,
                    .needed = std::min(bytes, run.needed - begin),
                    .tag = load.slot});
  load.done_of_run += bytes;
  if (load.done_of_run == run.bytes) {
    ++load.run;
    load.done_of_run = 0;
  }
  ++load.reads_in_flight;
  ++in_flight_;
  if (!load.demanded) ++ahead_in_flight_;
}

bool LoadQueue::landed(Load& load, std::uint64_t bytes, const std::string& failure) {
  --load.reads_in_flight;
  --in_flight_;
  if (!load.demanded) --ahead_in_flight_;
  bytes_read_ += bytes;
  if (!failure.empty() && !load.failure) {
    const ReadRun& run = load.layout.runs.front();
    load.failure = {.what = "an expert could not be read: " + failure,
                    .where = fmt::format("{}: layer {}, expert {}", store_.file(run.file).path(),
                                         load.slot->id.layer, load.slot->id.expert),
                    .expected = "",
                    .fix = "check the disk and the file"};
  }
  return load.reads_in_flight == 0 && load.all_started();
}

void LoadQueue::finish(const Load& load) {
  if (!load.demanded) loading_ahead_bytes_ -= load.slot->footprint;
}

std::vector<Read> LoadQueue::take_batch() { return std::exchange(batch_, {}); }

}  // namespace switchyard::experts::detail
