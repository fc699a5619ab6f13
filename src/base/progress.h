// Shows how far long work has come.
//
//   ProgressMeter meter(std::cerr, clock, {.title = "train", .total = 1000, .unit = "steps",
//   .terminal = is_terminal(2)}); for (...) { meter.field("loss", loss); meter.update(step); }
//   meter.finish();
//
// On a terminal one line is redrawn in place:
//   train [=========>          ]  45%  450/1000 steps  12.3/s  0:45 left  loss=3.21
// elsewhere a plain line is written now and then:
//   train: 450/1000 steps (45%), 12.3/s, 0:45 left, loss=3.21
//
// Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace switchyard {

bool is_terminal(int descriptor);
// Columns of the terminal, 80 if it does not tell.
int terminal_width(int descriptor);

class ProgressMeter {
 public:
  struct Options {
    std::string title = {};
    std::uint64_t total = 0;  // 0: unknown; then no bar, percentage and time left
    std::uint64_t start = 0;  // done before this run (a resumed one); does not count for the rate
    std::string unit = {};    // "steps"; "bytes" shows amounts as KiB, MiB ...
    bool terminal = false;
    int width = 80;               // columns, on a terminal
    double redraw_seconds = 0.1;  // at most one redraw in this time, on a terminal
    double line_seconds = 10;     // at most one line in this time, elsewhere
  };

  ProgressMeter(std::ostream& out, const Clock& clock, Options options);
  ProgressMeter(const ProgressMeter&) = delete;
  ProgressMeter& operator=(const ProgressMeter&) = delete;
  // Without finish() (an exception, a stop), the line stays as it is and is ended.
  ~ProgressMeter();

  // `done` of the total, in all. Cheap when nothing is to be drawn.
  void update(std::uint64_t done);
  // A value shown behind the rest from the next drawing on; the order is that of first use.
  void field(std::string_view name, std::string value);
  void field(std::string_view name, double value);
  // Writes a line of its own, above the bar.
  void note(std::string_view line);
  // Shows the last state with the time taken, and ends the line.
  void finish();

 private:
  std::string amount(std::uint64_t value) const;
  std::string rate_text() const;
  std::string terminal_line(bool last) const;
  std::string plain_line(bool last) const;
  std::string times(bool last) const;
  void draw(bool last);

  std::ostream& out_;
  const Clock& clock_;
  Options options_;
  double began_;
  double last_drawn_;
  std::uint64_t done_;
  std::vector<std::pair<std::string, std::string>> fields_;
  // The rate: an average over the run whose weight on the last minute or so is larger.
  double rate_ = 0;
  double rate_time_;
  std::uint64_t rate_done_;
  bool line_open_ = false;  // a line on the terminal that is not ended
  bool finished_ = false;
};

}  // namespace switchyard
