#include "base/progress.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/byte_size.h"
#include "base/text.h"

namespace switchyard {
namespace {

constexpr std::size_t kShortestBar = 8;
constexpr std::size_t kLongestBar = 30;
// How long a change of speed takes to show in the rate.
constexpr double kRateSeconds = 15;
constexpr std::string_view kClearToEnd = "\x1b[K";

std::string bar(double share, std::size_t cells) {
  const auto full = static_cast<std::size_t>(share * static_cast<double>(cells));
  std::string text(full, '=');
  if (full < cells) text += '>';
  text.resize(cells, ' ');
  return "[" + text + "]";
}

}  // namespace

bool is_terminal(int descriptor) { return ::isatty(descriptor) == 1; }

int terminal_width(int descriptor) {
  struct winsize size {};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

ProgressMeter::ProgressMeter(std::ostream& out, const Clock& clock, Options options)
    : out_(out),
      clock_(clock),
      options_(std::move(options)),
      began_(clock.seconds()),
      last_drawn_(began_),
      done_(options_.start),
      rate_time_(began_),
      rate_done_(options_.start) {}

ProgressMeter::~ProgressMeter() {
  if (line_open_) out_ << '\n' << std::flush;
}

void ProgressMeter::update(std::uint64_t done) {
  done_ = done;
  const double now = clock_.seconds();
  const double pause = options_.terminal ? options_.redraw_seconds : options_.line_seconds;
  if (now - last_drawn_ < pause) return;
  const double passed = now - rate_time_;
  if (passed > 0 && done_ >= rate_done_) {
    const double current = static_cast<double>(done_ - rate_done_) / passed;
    // Weighted by time, and a plain average at first: the start has no past to smooth with.
    const double weight = 1 - std::exp(-passed / kRateSeconds);
    const double at_least = passed / (now - began_);
    rate_ += std::max(weight, at_least) * (current - rate_);
    rate_time_ = now;
    rate_done_ = done_;
  }
  last_drawn_ = now;
  draw(false);
}

void ProgressMeter::field(std::string_view name, std::string value) {
  const auto found = std::find_if(fields_.begin(), fields_.end(),
                                  [&](const auto& entry) { return entry.first == name; });
  if (found != fields_.end()) {
    found->second = std::move(value);
  } else {
    fields_.emplace_back(name, std::move(value));
  }
}

void ProgressMeter::field(std::string_view name, double value) {
  field(name, format_significant(value));
}

void ProgressMeter::note(std::string_view line) {
  if (line_open_) out_ << '\r' << kClearToEnd;
  out_ << line << '\n' << std::flush;
  const bool redraw = line_open_;
  line_open_ = false;
  if (redraw) draw(false);
}

void ProgressMeter::finish() {
  if (finished_) return;
  finished_ = true;
  draw(true);
}

std::string ProgressMeter::amount(std::uint64_t value) const {
  return options_.unit == "bytes" ? format_bytes(value) : std::to_string(value);
}

std::string ProgressMeter::rate_text() const {
  if (options_.unit == "bytes") return format_bytes(static_cast<std::uint64_t>(rate_)) + "/s";
  return format_significant(rate_) + "/s";
}

// Amount, rate and time, each after two spaces or a comma.
std::string ProgressMeter::times(bool last) const {
  const std::string separator = options_.terminal ? "  " : ", ";
  std::string text = amount(done_);
  if (options_.total > 0) text += "/" + amount(options_.total);
  if (!options_.unit.empty() && options_.unit != "bytes") text += " " + options_.unit;
  if (!options_.terminal && options_.total > 0) {
    text += fmt::format(" ({:.0f}%)", std::floor(100.0 * static_cast<double>(done_) /
                                                 static_cast<double>(options_.total)));
  }
  if (rate_ > 0) text += separator + rate_text();
  if (last) {
    text += separator + format_duration(clock_.seconds() - began_);
  } else if (options_.total > done_ && rate_ > 0) {
    text +=
        separator + format_duration(static_cast<double>(options_.total - done_) / rate_) + " left";
  }
  for (const auto& [name, value] : fields_) text += fmt::format("{}{}={}", separator, name, value);
  return text;
}

std::string ProgressMeter::terminal_line(bool last) const {
  // The last column stays free: some terminals go to the next line when it is written.
  const auto columns = static_cast<std::size_t>(std::max(options_.width - 1, 1));
  const std::string head = options_.title.empty() ? "" : options_.title + " ";
  const std::string rest = times(last);
  if (options_.total == 0) return fit_width(head + rest, columns);
  const double share =
      std::min(1.0, static_cast<double>(done_) / static_cast<double>(options_.total));
  const std::string percent = fmt::format("{:3.0f}%  ", std::floor(100 * share));
  const std::size_t used = display_width(head) + percent.size() + display_width(rest) + 3;
  const std::size_t room = columns > used ? columns - used : 0;
  std::string line = head;
  if (room >= kShortestBar) line += bar(share, std::min(room, kLongestBar)) + " ";
  return fit_width(line + percent + rest, columns);
}

std::string ProgressMeter::plain_line(bool last) const {
  return (options_.title.empty() ? "" : options_.title + ": ") + times(last);
}

void ProgressMeter::draw(bool last) {
  if (last) {
    const double passed = clock_.seconds() - began_;
    if (passed > 0 && done_ >= options_.start) {
      rate_ = static_cast<double>(done_ - options_.start) / passed;  // of the whole run
    }
  }
  if (options_.terminal) {
    out_ << '\r' << terminal_line(last) << kClearToEnd;
    if (last) out_ << '\n';
    line_open_ = !last;
  } else {
    out_ << plain_line(last) << '\n';
  }
  out_ << std::flush;
}

}  // namespace switchyard
