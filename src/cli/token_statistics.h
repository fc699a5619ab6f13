// Means over the tokens of a text, with standard errors. Tokens are counted as independent, which
// is what llama-perplexity does, too; tokens of one story are not quite.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace switchyard::cli {

struct Estimate {
  double value = 0;
  double error = 0;  // standard error
  double low() const { return value - kHalfWidth * error; }
  double high() const { return value + kHalfWidth * error; }  // with low(): 95 % of a normal
  static constexpr double kHalfWidth = 1.959963984540054;
};

// Of values x, Welford's way, so that many tokens lose no digits.
class Moments {
 public:
  void add(double x);
  std::size_t count() const { return count_; }
  double mean() const { return mean_; }
  double variance() const;  // of one value; 0 below two of them
  Estimate estimate() const;

 private:
  std::size_t count_ = 0;
  double mean_ = 0;
  double squares_ = 0;  // sum of (x - mean)^2
};

// exp of a mean, such as a perplexity, and its error to first order.
Estimate exponential(const Estimate& mean);

// A share of so many.
Estimate share(std::size_t part, std::size_t whole);

// The value below which the share q of `sorted` lies (nearest rank), not empty. Its error is half
// the distance between the ranks one standard deviation of the binomial count to either side, which
// needs no assumption about the distribution.
Estimate quantile(std::span<const float> sorted, double q);

}  // namespace switchyard::cli
