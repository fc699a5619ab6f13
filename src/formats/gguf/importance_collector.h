// Sums up what the matrices of a model are multiplied with.
//
//   ImportanceCollector collector;
//   engine.step(inputs, {.on_input = [&](const runtime::InputRecord& r) {
//     collector.add(r.weight, r.x, r.rows, r.columns, r.stride); }});
//   write_importance(fs, "importance.gguf", collector.data(engine.model().config()));
//
// Thread rule: one caller at a time.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "switchyard/model_config.h"

#include "formats/gguf/importance_file.h"

namespace switchyard {

class ImportanceCollector {
 public:
  // `rows` rows of x, `stride` values from one to the next, that the matrix of this name (Hugging
  // Face's) with so many columns is multiplied with.
  void add(std::string_view weight, const float* x, std::size_t rows, std::size_t columns,
           std::size_t stride);

  // Under ggml's names, experts of one width together. An expert that was never visited has zeros
  // and a count of 0; any other matrix that was not is left out. Throws Error if a value was not
  // finite: the model is damaged.
  ImportanceData data(const ModelConfig& config) const;

 private:
  struct Sums {
    std::vector<double> squares;
    std::uint64_t count = 0;
  };
  std::map<std::string, Sums, std::less<>> sums_;
};

}  // namespace switchyard
