// Ranges, ticks and the way from a value to a pixel.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/svg_plot.h"

namespace switchyard::plot {

struct Tick {
  double value = 0;
  std::string label = {};  // empty: a minor tick
};

// The smallest and largest of the values that can be shown.
class Extent {
 public:
  explicit Extent(Scale scale) : scale_(scale) {}
  void add(double value);
  bool empty() const { return low_ > high_; }
  double low() const { return low_; }
  double high() const { return high_; }

 private:
  Scale scale_;
  double low_ = 1;
  double high_ = 0;
};

// Whether a value has a place on the scale: finite, and positive if logarithmic.
bool has_place(Scale scale, double value);

enum class Fit {
  tight,  // the axis ends at the data (x of a line)
  nice,   // at round numbers that leave room around the data
};

// An axis with its final range, drawn from pixel `begin` (its low end) to `end`.
class FittedAxis {
 public:
  // `ticks` is the number of labelled ticks to aim at, at least 2.
  FittedAxis(const Axis& axis, const Extent& data, Fit fit, int ticks);
  void place(double begin, double end);

  double low() const { return low_; }
  double high() const { return high_; }
  // Pixel of a value that has a place. Values far outside the range stay within a few plot sizes of
  // it.
  double at(double value) const;
  // 0 at the low end, 1 at the high end.
  double share(double value) const;
  const std::vector<Tick>& ticks() const { return ticks_; }
  Scale scale() const { return scale_; }

 private:
  void widen_if_empty();
  void linear_ticks(int count);
  void logarithmic_ticks(int count);

  Scale scale_;
  double low_ = 0;
  double high_ = 1;
  double begin_ = 0;
  double end_ = 1;
  std::vector<Tick> ticks_;
};

// 1, 2, 2.5 or 5 times a power of ten, such that about `count` steps cover the length.
double nice_step(double length, int count);

// Labels of evenly spaced values, written alike: "0.00", "0.25"; "10k", "20k"; "2×10⁻⁵". The minus
// is U+2212.
std::vector<std::string> tick_labels(const std::vector<double>& values, double step);

// "loss (nats)", "loss", "(nats)" or "".
std::string axis_title(const Axis& axis);

}  // namespace switchyard::plot
