#include "base/plot_axis.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>
#include <string_view>

#include "base/check.h"

namespace switchyard::plot {
namespace {

// Beyond these, which no measurement reaches, the arithmetic on ranges would overflow or lose its
// digits.
constexpr double kHuge = 1e300;
constexpr double kTiny = 1e-280;

constexpr std::string_view kMinus = "−";

std::string with_minus(std::string text) {
  if (!text.empty() && text.front() == '-') text.replace(0, 1, kMinus);
  return text;
}

// Decimals that show multiples of `step` exactly, at most 6.
int decimals_for(double step) {
  for (int decimals = 0; decimals < 6; ++decimals) {
    const double scaled = step * std::pow(10.0, decimals);
    if (std::fabs(scaled - std::round(scaled)) < 1e-6 * scaled) return decimals;
  }
  return 6;
}

std::string superscript(int exponent) {
  static constexpr std::array<std::string_view, 10> kDigits = {"⁰", "¹", "²", "³", "⁴",
                                                               "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text = exponent < 0 ? "⁻" : "";
  for (const char digit : std::to_string(std::abs(exponent))) {
    text += kDigits[static_cast<std::size_t>(digit - '0')];
  }
  return text;
}

struct Prefix {
  double factor;
  std::string_view name;
};
constexpr std::array<Prefix, 4> kPrefixes = {{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}}};

std::string power_label(int factor, int exponent) {
  const std::string power = "10" + superscript(exponent);
  return factor == 1 ? power : fmt::format("{}×{}", factor, power);
}

}  // namespace

bool has_place(Scale scale, double value) {
  return std::isfinite(value) && (scale == Scale::linear || value > 0);
}

void Extent::add(double value) {
  if (!has_place(scale_, value)) return;
  if (empty()) {
    low_ = high_ = value;
  } else {
    low_ = std::min(low_, value);
    high_ = std::max(high_, value);
  }
}

double nice_step(double length, int count) {
  SWITCHYARD_CHECK(length > 0 && std::isfinite(length) && count > 0);
  const double rough = length / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (factor * power >= rough * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

std::vector<std::string> tick_labels(const std::vector<double>& values, double step) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::fabs(value));
  const auto label_all = [&](double factor, const auto& decorate) {
    const int decimals = decimals_for(step / factor);
    std::vector<std::string> labels;
    for (const double value : values) {
      const bool zero = std::fabs(value) < step * 1e-6;
      const double shown = zero ? 0 : value / factor;
      const std::string text = with_minus(fmt::format("{:.{}f}", shown, decimals));
      labels.push_back(zero ? "0" : decorate(text));
    }
    return labels;
  };
  if (largest >= 1e15 || (largest > 0 && largest < 1e-3)) {
    const int exponent = static_cast<int>(std::floor(std::log10(largest) + 1e-9));
    return label_all(std::pow(10.0, exponent),
                     [&](const std::string& text) { return text + "×10" + superscript(exponent); });
  }
  if (largest >= 1e4) {
    for (const Prefix& prefix : kPrefixes) {
      if (largest < prefix.factor) continue;
      return label_all(prefix.factor,
                       [&](const std::string& text) { return text + std::string(prefix.name); });
    }
  }
  return label_all(1, [](const std::string& text) { return text; });
}

std::string axis_title(const Axis& axis) {
  if (axis.unit.empty()) return axis.label;
  return (axis.label.empty() ? "" : axis.label + " ") + "(" + axis.unit + ")";
}

FittedAxis::FittedAxis(const Axis& axis, const Extent& data, Fit fit, int ticks)
    : scale_(axis.scale) {
  const bool logarithmic = scale_ == Scale::logarithmic;
  const bool fixed_low = axis.min && has_place(scale_, *axis.min);
  const bool fixed_high = axis.max && has_place(scale_, *axis.max);
  low_ = logarithmic ? 1 : 0;
  high_ = logarithmic ? 10 : 1;
  if (!data.empty()) {
    low_ = data.low();
    high_ = data.high();
  }
  if (fixed_low) low_ = *axis.min;
  if (fixed_high) high_ = *axis.max;
  if (low_ > high_) {  // data wholly beyond a fixed end, or ends the wrong way round
    if (fixed_low && fixed_high) {
      std::swap(low_, high_);
    } else if (fixed_low) {
      high_ = low_;
    } else {
      low_ = high_;
    }
  }
  widen_if_empty();
  const int count = std::max(ticks, 2);
  if (fit == Fit::nice && !data.empty()) {
    if (logarithmic) {
      const double pad = std::pow(10.0, 0.04 * (std::log10(high_) - std::log10(low_)));
      if (!fixed_low) low_ = std::max(low_ / pad, kTiny);
      if (!fixed_high) high_ = std::min(high_ * pad, kHuge);
    } else {
      const double step = nice_step(high_ - low_, count);
      const double pad = (high_ - low_) * 0.02;
      // Padding must not cross zero: an axis of speeds does not start below it.
      const double padded_low = low_ >= 0 ? std::max(low_ - pad, 0.0) : low_ - pad;
      const double padded_high = high_ <= 0 ? std::min(high_ + pad, 0.0) : high_ + pad;
      if (!fixed_low) low_ = std::floor(padded_low / step) * step;
      if (!fixed_high) high_ = std::ceil(padded_high / step) * step;
    }
  }
  if (logarithmic) {
    logarithmic_ticks(count);
  } else {
    linear_ticks(count);
  }
}

void FittedAxis::widen_if_empty() {
  if (scale_ == Scale::logarithmic) {
    low_ = std::clamp(low_, kTiny, kHuge);
    high_ = std::clamp(high_, kTiny, kHuge);
    if (high_ / low_ < 1 + 1e-9) {
      low_ /= 2;
      high_ *= 2;
    }
    return;
  }
  low_ = std::clamp(low_, -kHuge, kHuge);
  high_ = std::clamp(high_, -kHuge, kHuge);
  const double size = std::max(std::fabs(low_), std::fabs(high_));
  if (high_ - low_ <= std::max(size * 1e-12, kTiny)) {
    const double half = size > 100 * kTiny ? size * 0.05 : 0.5;
    low_ -= half;
    high_ += half;
  }
}

void FittedAxis::linear_ticks(int count) {
  const double step = nice_step(high_ - low_, count);
  const double slack = step * 1e-6;
  const double first = std::ceil((low_ - slack) / step);
  std::vector<double> values;
  for (double n = first; n * step <= high_ + slack; ++n) {
    values.push_back(n * step);
    // Numbers so close that the step is lost in them.
    if ((n + 1) * step == n * step || values.size() > 100) break;
  }
  const auto labels = tick_labels(values, step);
  for (std::size_t i = 0; i < values.size(); ++i) ticks_.push_back({values[i], labels[i]});
}

void FittedAxis::logarithmic_ticks(int count) {
  const double decades = std::log10(high_) - std::log10(low_);
  if (decades < 0.6) {
    linear_ticks(count);  // too short for powers of ten
    return;
  }
  const int first = static_cast<int>(std::floor(std::log10(low_) + 1e-9));
  const int last = static_cast<int>(std::floor(std::log10(high_) + 1e-9));
  const bool between = decades < 2;  // label 2 and 5 as well
  const int stride = std::max(1, static_cast<int>(std::ceil(decades / count)));
  const bool plain = first >= -3 && last <= 3;
  for (int exponent = first; exponent <= last; ++exponent) {
    for (int factor = 1; factor < 10; ++factor) {
      const double value = factor * std::pow(10.0, exponent);
      if (value < low_ * (1 - 1e-9) || value > high_ * (1 + 1e-9)) continue;
      const bool labelled =
          (factor == 1 && exponent % stride == 0) || (between && (factor == 2 || factor == 5));
      if (labelled) {
        ticks_.push_back(
            {value, plain ? fmt::format("{:g}", value) : power_label(factor, exponent)});
      } else if (factor == 1 || stride == 1) {
        ticks_.push_back({value});
      }
    }
  }
}

void FittedAxis::place(double begin, double end) {
  begin_ = begin;
  end_ = end;
}

double FittedAxis::share(double value) const {
  if (scale_ == Scale::logarithmic) {
    return (std::log10(value) - std::log10(low_)) / (std::log10(high_) - std::log10(low_));
  }
  return (value - low_) / (high_ - low_);
}

double FittedAxis::at(double value) const {
  return begin_ + (end_ - begin_) * std::clamp(share(value), -3.0, 4.0);
}

}  // namespace switchyard::plot
