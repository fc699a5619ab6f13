// Loads on their way to the disk: which piece is read next, and how many are in flight.
//
// A slab is read in pieces so that several reads of one slab run at once. Demanded loads go first
// and may use the whole queue; reads ahead use a quarter of it, so that a demand which comes while
// they are in flight finds places free and shares the disk with few of them.
//
// Thread rule: one thread at a time (the cache's mutex).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "experts/async_reader.h"
#include "experts/slot.h"

namespace switchyard::experts::detail {

class LoadQueue {
 public:
  LoadQueue(const Store& store, std::uint64_t piece_bytes)
      : store_(store), piece_bytes_(piece_bytes) {}
  void set_depth(int reads_in_flight);

  // The slot's buffer is there. The load's slot keeps it alive until the last piece has landed.
  void add(const std::shared_ptr<Load>& load);
  // A load begun ahead is asked for now.
  void demand(const std::shared_ptr<Load>& load);

  // Turns demanded loads into reads while there are places in flight.
  void start_demanded();
  // Whether a read ahead may start now: no demanded piece waits, and a place is free.
  bool may_start_ahead() const;
  // Starts one piece of a load begun ahead; false if all their pieces are started.
  bool start_ahead();

  // A piece of this load is no longer in flight. True if it was the last one: the load is complete,
  // or failed.
  bool landed(Load& load, std::uint64_t bytes, const std::string& failure);
  // Its slot is ready or given back: it is no longer on its way.
  void finish(const Load& load);

  // The reads started since the last call, for the reader.
  std::vector<Read> take_batch();

  int in_flight() const { return in_flight_; }
  std::uint64_t loading_ahead_bytes() const { return loading_ahead_bytes_; }
  std::uint64_t bytes_read() const { return bytes_read_; }
  void reset_counters() { bytes_read_ = 0; }

 private:
  void start_piece(Load& load);

  const Store& store_;
  std::uint64_t piece_bytes_;
  int depth_ = 1;
  int ahead_depth_ = 1;
  std::deque<std::shared_ptr<Load>> demanded_;  // with pieces to start
  std::deque<std::shared_ptr<Load>> ahead_;     // likewise
  int in_flight_ = 0;
  int ahead_in_flight_ = 0;
  std::uint64_t loading_ahead_bytes_ = 0;  // slots of loads begun ahead and not asked for
  std::uint64_t bytes_read_ = 0;
  std::vector<Read> batch_;
};

}  // namespace switchyard::experts::detail
