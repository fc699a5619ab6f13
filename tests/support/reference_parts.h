// What the parts of the reference decoder share: vectors in double precision and weights by name.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "switchyard/file_system.h"
#include "switchyard/model_config.h"
#include "switchyard/safetensors.h"

namespace switchyard::testing_support::reference {

using Vector = std::vector<double>;

struct Weights {
  Weights(FileSystem& fs, const std::string& directory) : tensors(fs, directory) {}
  Vector get(const std::string& name) const {
    const std::vector<float> values = tensors.read_f32(name);
    return {values.begin(), values.end()};
  }
  SafetensorsReader tensors;
};

inline Vector times(const Vector& matrix, const Vector& x) {  // [O, I] x [I]
  Vector y(matrix.size() / x.size(), 0.0);
  for (std::size_t o = 0; o < y.size(); ++o) {
    for (std::size_t i = 0; i < x.size(); ++i) y[o] += matrix[o * x.size() + i] * x[i];
  }
  return y;
}

inline void add(Vector& x, const Vector& y, double scale = 1.0) {
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += scale * y[i];
}

inline Vector rms_norm(const Vector& x, const Vector& weight, double epsilon) {
  double mean = 0;
  for (const double v : x) mean += v * v / static_cast<double>(x.size());
  Vector y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = x[i] / std::sqrt(mean + epsilon) * weight[i];
  return y;
}

// Keys and values of the tokens so far, in one layer.
struct Past {
  std::vector<Vector> keys;
  std::vector<Vector> values;
};

// Output of one layer's attention for the token after `past`, which it joins. x is normed.
Vector attention(const Weights& w, const ModelConfig& c, int l, const Vector& x, Past& past);

}  // namespace switchyard::testing_support::reference
